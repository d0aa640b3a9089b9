"""What crosses to the writer process: whole slices, or nothing of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal
from greenroom.persistence.sqlite import writer_frames
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.writer_frames import (
    FrameReader,
    decode_outcomes,
    decode_slices,
    encode_frame,
    encode_slices,
)
from greenroom.persistence.store import (
    AddRecords,
    AnyWrite,
    ChangeRow,
    ClaimKey,
    Cursor,
    DropRows,
    MoveCursor,
    PutRows,
    RecordOwner,
    Slice,
)
from greenroom.persistence.tables import MemberRow, TokenRow
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.store_writes import message, users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES: list[AnyWrite] = [
    ClaimKey("pair", ("a", "b")), users("a"), message("si_a_b", 1),
    AddRecords("si_a_b", 1, "", [RecordOwner("a", "b")]),
    PutRows([MemberRow("g", "a", role_level=100)]), PutRows([TokenRow("a", b"\0\xff")]),
    ChangeRow("user", ("a",), {"nickname": "é", "app_manger_level": -1}),
    DropRows("token", [("a", b"\0\xff")]), MoveCursor("push", Cursor("1.2")),
]  # fmt: skip


def _bodies(data: bytes) -> Iterator[bytes]:
    return FrameReader().feed(data)


def test_slices_come_as_they_went() -> None:
    slices = [Slice("conversation/a_b", 7, WRITES), Slice("user/a", 8, [])]
    (frame,) = _bodies(encode_slices(slices))
    assert decode_slices(frame) == slices


def test_outcomes_come_as_they_went() -> None:
    outcomes = [None, Refusal(Reason.REPEATED, "stored", 3, FirstAnswer(5, "s", 9)), Refusal(Reason.FAILED)]
    (frame,) = _bodies(encode_frame(outcomes))
    assert decode_outcomes(frame) == outcomes


@pytest.mark.parametrize("value", [1 << 64, object(), "\ud800", 1.5, "text", None])
def test_a_slice_that_cannot_cross_is_missing_alone(value: Any) -> None:
    bad = Slice("conversation/a_c", 7, [msgspec.structs.replace(message("si_a_c", 1), send_time=value)])
    good = Slice("conversation/a_b", 7, [message("si_a_b", 1)])
    (frame,) = _bodies(encode_slices([bad, good]))
    assert decode_slices(frame) == [None, good]


async def test_a_slice_that_cannot_cross_is_refused_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    odd: Any = 1 << 70
    bad = Slice("conversation/a_c", store.epoch, [message("si_a_c", 1, time=odd)])
    good = Slice("conversation/a_b", store.epoch, [message("si_a_b", 1)])
    first, refused, last = await store.commit([good, bad, msgspec.structs.replace(good, key="x", writes=[])])
    assert (first, last) == (None, None)
    assert refused is not None
    assert refused.reason == Reason.FAILED
    assert len(await messages_of(store, "si_a_b")) == 1
    await store.close()


def test_frames_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_frame("one") + encode_frame("two")
    reader = FrameReader()
    bodies = [body for start in range(len(data)) for body in reader.feed(data[start : start + 1])]
    assert [msgspec.msgpack.decode(body) for body in bodies] == ["one", "two"]
    monkeypatch.setattr(writer_frames, "FRAME_BYTES_MAX", 10)
    with pytest.raises(ValueError, match="a frame of"):
        encode_slices([Slice("conversation/a_b", 7, WRITES)])
    with pytest.raises(ValueError, match="a frame of"):
        list(reader.feed(b"\0\0\0\x0b"))
