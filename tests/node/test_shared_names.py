"""A group in the name of a pair, over real sockets: neither silences the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.wire_kit import Device, text_message
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess



async def _notifications(device: Device, conversation_id: str) -> list[int]:
    """Seqs of the notifications that the user may pull."""
    span = sdkws_pb2.SeqRange(conversationID=conversation_id, begin=1, end=100, num=100)
    request = sdkws_pb2.PullMessageBySeqsReq(userID=device.user_id, seqRanges=[span])
    response = await device.answer(RequestId.PULL_BY_RANGE, request.SerializeToString())
    answer = sdkws_pb2.PullMessageBySeqsResp.FromString(response.data or b"")
    if conversation_id not in answer.notificationMsgs:
        return []
    return [one.seq for one in answer.notificationMsgs[conversation_id].Msgs]


async def test_group_in_the_name_of_a_pair(node: NodeProcess) -> None:
    """The group is there first, and its notifications have the id that both could have."""
    tokens = await node.tokens("alice", "bob", "carl", "dora")

    async def read(user: str, chat: str, seq: int) -> None:
        asked = {"conversationID": chat, "userID": user, "hasReadSeq": seq, "seqs": [seq]}
        path = "/msg/mark_msgs_as_read" if chat.startswith("sg_") else "/msg/mark_conversation_as_read"
        await api.call(path, asked, tokens[user])

    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
        await api.create_group("carl", ["dora"], name="Group", token=admin, group_id="alice_bob")
        async with (
            await Device.open(node, "alice", tokens["alice"]) as alice,
            await Device.open(node, "bob", tokens["bob"]) as bob,
            await Device.open(node, "dora", tokens["dora"]) as dora,
            await Device.open(node, "carl", tokens["carl"]) as carl,
        ):
            await read("dora", "sg_alice_bob", 1)
            for number in (1, 2, 3):
                await alice.sent(text_message("alice", "bob", clientMsgID=f"a{number}"))
                await carl.sent(text_message("carl", group_id="alice_bob", clientMsgID=f"c{number}"))
            await read("bob", "si_alice_bob", 3)
            await bob.wait_for("si_alice_bob", 3)
            await alice.wait_for("n_si_alice_bob", 1)
            await dora.wait_for("sg_alice_bob", 4)
            assert await alice.newest() == {"si_alice_bob": 3, "n_si_alice_bob": 1}
            assert await dora.newest() == {"sg_alice_bob": 4, "n_alice_bob": 1}
            assert await _notifications(alice, "n_si_alice_bob") == [1]
            assert await _notifications(alice, "n_alice_bob") == []
            assert await _notifications(dora, "n_alice_bob") == [1]
            assert await _notifications(dora, "n_si_alice_bob") == []
        await api.call("/group/dismiss_group", {"groupID": "alice_bob"}, tokens["carl"])
        async with await Device.open(node, "bob", tokens["bob"]) as bob:
            await bob.sent(text_message("bob", "alice", clientMsgID="b1"))
    await node.terminate()
    assert check(node.data_dir) == []


async def test_former_member_has_read_no_more_than_they_may_see(node: NodeProcess) -> None:
    tokens = await node.tokens("alice", "bob")
    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
        await api.create_group("alice", ["bob"], name="Group", token=admin, group_id="g")
        kick = {"groupID": "g", "kickedUserIDs": ["bob"], "reason": ""}
        await api.call("/group/kick_group", kick, tokens["alice"])
        async with (
            await Device.open(node, "alice", tokens["alice"]) as alice,
            await Device.open(node, "bob", tokens["bob"]) as bob,
        ):
            for number in range(3):
                await alice.sent(text_message("alice", group_id="g", clientMsgID=f"a{number}"))
            asked = {"conversationID": "sg_g", "userID": "bob", "hasReadSeq": 5}
            await api.call("/msg/set_conversation_has_read_seq", asked, tokens["bob"])
            request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="bob")
            response = await bob.answer(RequestId.SEQ_STATES, request.SerializeToString())
            reply = msg_pb2.GetConversationsHasReadAndMaxSeqResp.FromString(response.data or b"")
            assert (reply.seqs["sg_g"].maxSeq, reply.seqs["sg_g"].hasReadSeq) == (2, 2)
