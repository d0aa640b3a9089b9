"""docs/load-testing.md names each kind of step, with each of its own keys and its default."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import greenroom
from greenroom.transport.load.scenario import DirectTalk, Idle, Step

PAGE = Path(next(iter(greenroom.__path__)), "docs", "load-testing.md")
COMMON = {*Idle.__struct_fields__, *DirectTalk.__struct_fields__}


@pytest.mark.parametrize("kind", Step.__args__, ids=lambda kind: str(kind.__struct_config__.tag))
def test_each_kind_of_step_is_documented(kind: type[msgspec.Struct]) -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| kind | what the users do | keys |")[2]
    row = table.partition(f"| `{kind.__struct_config__.tag}` |")[2].partition("\n")[0]
    assert row
    for field in msgspec.structs.fields(kind):
        if field.name not in COMMON:
            assert f"`{field.name} = {str(field.default).lower()}`" in row
