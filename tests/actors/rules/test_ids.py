"""Keys, conversation ids and addresses, as every client computes them."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.rules.ids import (
    address_of,
    address_of_chat,
    chat_id,
    group_address,
    key_of,
    notification_ids,
    pair_key,
    user_address,
)
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import SessionType

SINGLE = sdkws_pb2.MsgData(sendID="b", recvID="a", sessionType=SessionType.SINGLE)
GROUP = sdkws_pb2.MsgData(sendID="b", groupID="g", sessionType=SessionType.GROUP)
OFFICIAL = sdkws_pb2.MsgData(sendID="b", recvID="a", sessionType=SessionType.NOTIFICATION)


@given(st.text(), st.text())
def test_pair_key_is_the_same_from_both_sides(first: str, second: str) -> None:
    key = pair_key(first, second)
    assert key == pair_key(second, first) == "_".join(sorted((first, second)))


@given(st.text(), st.text())
def test_pair_key_sorts_bytewise(first: str, second: str) -> None:
    try:
        in_order = first.encode() <= second.encode()
    except UnicodeEncodeError:  # A lone surrogate is in no id.
        return
    assert pair_key(first, second) == (f"{first}_{second}" if in_order else f"{second}_{first}")


def test_pair_key_of_one_user() -> None:
    assert pair_key("a", "a") == "a_a"


@pytest.mark.parametrize(
    ("message", "key", "chat", "address"),
    [
        (SINGLE, "a_b", "si_a_b", Address("conversation", "a_b")),
        (GROUP, "g", "sg_g", Address("group", "g")),
        (OFFICIAL, "a_b", "sn_a_b", Address("conversation", "a_b")),
    ],
    ids=["single", "group", "official"],
)
def test_where_a_message_goes(message: sdkws_pb2.MsgData, key: str, chat: str, address: Address) -> None:
    assert key_of(message) == key
    assert chat_id(message.sessionType, key) == chat
    assert address_of(message) == address == address_of_chat(chat)


@pytest.mark.parametrize("id_", ["n_a_b", "a_b", "si", "", "xx_a_b", "SI_a_b"])
def test_what_is_no_chat(id_: str) -> None:
    """The id of a notification conversation does not tell whether it is a pair's or a group's."""
    with pytest.raises(ValueError, match="no chat"):
        address_of_chat(id_)


def test_ids_that_hold_the_separators() -> None:
    """`a_b` with `c` and `a` with `b_c` have one key: the store says whose it is."""
    assert pair_key("a_b", "c") == pair_key("a", "b_c")
    assert address_of_chat("si_si_x_y") == Address("conversation", "si_x_y")
    assert user_address("a:b").id == "a:b"


def test_notification_ids() -> None:
    assert [*islice(notification_ids("sg_", "a_b"), 3)] == ["n_a_b", "n_sg_a_b", "n_sg_sg_a_b"]
    assert next(notification_ids("si_", pair_key("a", "a"))) == "n_a_a"
    assert (user_address("a"), group_address("g")) == (Address("user", "a"), Address("group", "g"))
