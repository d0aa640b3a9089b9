"""What a virtual user reports of an error."""

from __future__ import annotations

import pytest

from greenroom.transport.client.errors import ConnectionLost, Refused
from greenroom.transport.load.virtual_user import _reason


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Refused(500, "ServerInternalError: too many sends"), "500 ServerInternalError: too many sends"),
        (Refused(500, "a\x1b[2Jb\n" + "c" * 9_000), "500 a [2Jb " + "c" * 189),
        (ConnectionLost(), "ConnectionLost"),
        (TimeoutError("x"), "no answer in time"),
    ],
)
def test_reason_is_the_text_of_the_server_bounded_and_printable(problem: Exception, reason: str) -> None:
    assert _reason(problem) == reason
