"""What is generated equals what the .proto files say, and the messages are those of the protocol."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool

import greenroom.actors.wire
from greenroom.actors.wire import (
    auth_pb2,
    conversation_pb2,
    errinfo_pb2,
    group_pb2,
    jssdk_pb2,
    msg_pb2,
    msggateway_pb2,
    push_pb2,
    relation_pb2,
    sdkws_pb2,
    third_pb2,
    user_pb2,
    wrappers_pb2,
)
from greenroom.actors.wire.generate import generate

ROOM = Path(greenroom.actors.wire.__file__).parent
MODULES = [
    auth_pb2,
    conversation_pb2,
    errinfo_pb2,
    group_pb2,
    jssdk_pb2,
    msg_pb2,
    msggateway_pb2,
    push_pb2,
    relation_pb2,
    sdkws_pb2,
    third_pb2,
    user_pb2,
    wrappers_pb2,
]

# Counted in the protocol reference, section 11.
COUNTS = {
    "openim.auth": 14,
    "openim.conversation": 56,
    "openim.errinfo": 1,
    "openim.group": 84,
    "openim.jssdk": 5,
    "openim.msg": 81,
    "openim.msggateway": 14,
    "openim.push": 4,
    "openim.relation": 57,
    "openim.sdkws": 75,
    "openim.third": 34,
    "openim.user": 78,
    "openim.protobuf": 4,
}


@pytest.mark.timeout(60)
def test_generated_files_are_those_of_the_proto_files(tmp_path: Path) -> None:
    written = generate(tmp_path)
    committed = sorted(path.name for pattern in ("*_pb2.py", "*_pb2.pyi") for path in ROOM.glob(pattern))
    assert sorted(path.name for path in written) == committed
    for path in written:
        assert path.read_bytes() == (ROOM / path.name).read_bytes(), f"{path.name}: run generate"


def test_room_imports_nothing_else_of_greenroom() -> None:
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert not name.startswith("greenroom.") or name.startswith("greenroom.actors.wire"), path


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.DESCRIPTOR.package)
def test_file_and_package_names(module: Any) -> None:
    name = module.__name__.rpartition(".")[2].removesuffix("_pb2")
    descriptor = module.DESCRIPTOR
    assert descriptor.name == f"greenroom/actors/wire/{name}.proto"
    assert descriptor.package == ("openim.protobuf" if name == "wrappers" else f"openim.{name}")


def test_every_message_of_the_protocol_is_there() -> None:
    counts = {module.DESCRIPTOR.package: len(module.DESCRIPTOR.message_types_by_name) for module in MODULES}
    assert counts == COUNTS


def test_message_named_like_its_field() -> None:
    assert sdkws_pb2.seqs.FromString(sdkws_pb2.seqs(seqs=[1, 300]).SerializeToString()).seqs == [1, 300]


def test_message_data_has_no_field_thirteen() -> None:
    numbers = [field.number for field in sdkws_pb2.MsgData.DESCRIPTOR.fields]
    assert numbers == [*range(1, 13), *range(14, 24)]


def test_wrappers_are_wire_equal_to_the_google_wrappers() -> None:
    request = user_pb2.processUserCommandAddReq()
    request.value.value = ""
    assert request.SerializeToString() == b"\x22\x00"


def test_optional_fields_know_their_absence() -> None:
    for message in (
        group_pb2.CreateGroupReq,
        group_pb2.KickGroupMemberReq,
        group_pb2.InviteUserToGroupReq,
        group_pb2.DismissGroupReq,
    ):
        assert message.DESCRIPTOR.fields_by_name["sendMessage"].has_presence
    assert user_pb2.searchNotificationAccountReq.DESCRIPTOR.fields_by_name["appManagerLevel"].has_presence


def test_nested_messages_are_found_by_their_full_name() -> None:
    pool = descriptor_pool.Default()
    for name in (
        "openim.user.accountCheckResp.singleUserStatus",
        "openim.msggateway.GetUsersOnlineStatusResp.SuccessDetail",
        "openim.msggateway.GetUsersOnlineStatusResp.FailedDetail",
        "openim.msggateway.GetUsersOnlineStatusResp.SuccessResult",
    ):
        assert pool.FindMessageTypeByName(name).full_name == name
