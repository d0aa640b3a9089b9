"""Groups: membership, mutes, and who hears what."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.actors import messages as m
from greenroom.actors.errors import (
    ArgsError,
    GroupDismissed,
    GroupExists,
    MutedGroup,
    MutedInGroup,
    NoPermission,
    RecordNotFound,
    UserNotFound,
)
from greenroom.actors.rules.ids import group_address, user_address
from greenroom.actors.wire import group_pb2, sdkws_pb2
from greenroom.tests.kit.engine_kit import KitEngine, caller, running_engine
from greenroom.tests.kit.fault_kit import Gate
from greenroom.tests.kit.listed import all_seq_states
from greenroom.tests.kit.stored import messages_of


async def _create(
    engine: KitEngine, owner: str, *members: str, group_id: str = "g1", **info: Any
) -> sdkws_pb2.GroupInfo:
    request = group_pb2.CreateGroupReq(
        ownerUserID=owner,
        memberUserIDs=members,
        groupInfo=sdkws_pb2.GroupInfo(groupName="G", groupType=2, **info),
    )
    created = await engine.ask(group_address(group_id), m.CreateGroup(caller=caller(owner), request=request))
    assert isinstance(created, sdkws_pb2.GroupInfo)
    return created


async def _do(engine: KitEngine, command: Any, group_id: str = "g1") -> Any:
    return await engine.ask(group_address(group_id), command)


async def test_create_group_tells_all_members_and_makes_their_records(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    info = await _create(engine, "a", "b", "c")
    assert (info.memberCount, info.ownerUserID, info.creatorUserID) == (3, "a", "a")
    for user in "abc":
        assert engine.sessions.seqs(user, "sg_g1") == [1]
        kinds = [(one.conversation_id, one.message.contentType) for one in engine.sessions.received[user]]
        assert kinds == [("sg_g1", 1501), ("n_g1", 1501)]
        assert [one.group_id for one in await engine.world.store.records(user)] == ["g1"]
        assert await engine.world.store.joined_groups(user) == ["g1"]
    detail = json.loads(json.loads(engine.sessions.received["b"][0].message.content)["detail"])
    assert [one["userID"] for one in detail["memberList"]] == ["a", "b", "c"]
    log = await engine.world.store.changes("members", "g1", 0)
    assert (detail["groupMemberVersion"], detail["groupMemberVersionID"]) == (log.version, log.version_id)


async def test_create_refuses_taken_ids_and_unknown_users(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b")
    with pytest.raises(GroupExists):
        await _create(engine, "c")
    with pytest.raises(UserNotFound):
        await _create(engine, "a", "nobody", group_id="g2")
    with pytest.raises(ArgsError):
        await _create(engine, "a", "b", "b", group_id="g2")


async def test_group_message_reaches_all_and_only_members_send(engine: KitEngine) -> None:
    await engine.register("a", "b", "c", "d")
    await _create(engine, "a", "b", "c")
    await engine.send(engine.message("b", group_id="g1"))
    for user in "abc":
        assert engine.sessions.seqs(user, "sg_g1") == [1, 2]
    assert engine.sessions.received["d"] == []
    with pytest.raises(NoPermission):
        await engine.send(engine.message("d", group_id="g1"))
    with pytest.raises(RecordNotFound):
        await engine.send(engine.message("a", group_id="nowhere"))


async def test_invited_member_hears_from_his_invitation_on(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b")
    await engine.send(engine.message("a", group_id="g1"))
    await _do(engine, m.InviteMembers(caller=caller("b"), user_ids=["c", "a"]))
    await engine.send(engine.message("c", group_id="g1"))
    assert engine.sessions.seqs("c", "sg_g1") == [3, 4]
    kinds = [one.message.contentType for one in engine.sessions.received["c"]]
    assert kinds == [1509, 1509, 1300, 101]
    span = (await engine.world.store.spans("c", ["sg_g1"]))["sg_g1"]
    assert (max(span.begin, 1), span.end) == (1, 4)
    assert [one.row.user_id for one in await engine.world.store.members("g1")] == ["a", "b", "c"]


async def test_history_is_hidden_from_new_members_if_so_set(engine: KitEngine) -> None:
    import msgspec

    engine.world.settings = msgspec.structs.replace(
        engine.world.settings,
        message=msgspec.structs.replace(engine.world.settings.message, history_for_new_members=False),
    )
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b")
    await engine.send(engine.message("a", group_id="g1"))
    await _do(engine, m.InviteMembers(caller=caller("a"), user_ids=["c"]))
    span = (await engine.world.store.spans("c", ["sg_g1"]))["sg_g1"]
    assert (span.begin, span.end) == (3, 3)


async def test_kicked_member_keeps_what_he_heard_and_hears_no_more(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b", "c")
    await _do(engine, m.KickMembers(caller=caller("a"), user_ids=["c"]))
    await engine.send(engine.message("a", group_id="g1"))
    assert engine.sessions.seqs("c", "sg_g1") == [1, 2]
    assert engine.sessions.seqs("b", "sg_g1") == [1, 2, 3]
    span = (await engine.world.store.spans("c", ["sg_g1", "n_g1"]))["sg_g1"]
    assert span.end == 2
    with pytest.raises(NoPermission):
        await engine.send(engine.message("c", group_id="g1"))
    assert await engine.world.store.joined_groups("c") == []
    await _do(engine, m.InviteMembers(caller=caller("a"), user_ids=["c"]))
    span = (await engine.world.store.spans("c", ["sg_g1"]))["sg_g1"]
    assert span.end == span.max_seq == 4


@pytest.mark.parametrize("wakes_anew", [False, True])
@pytest.mark.parametrize("marked_before", [False, True])
async def test_former_member_marks_no_more_as_read_than_they_may_see(
    engine: KitEngine, marked_before: bool, wakes_anew: bool
) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b", "c")
    marks = [m.SetReadSeq(caller=caller("c"), conversation_id="sg_g1", user_id="c", has_read_seq=seq) for seq in (1, 4)]
    if marked_before:
        await _do(engine, marks[0])
    await _do(engine, m.KickMembers(caller=caller("a"), user_ids=["c"]))
    for _ in range(2):
        await engine.send(engine.message("a", group_id="g1"))
    if wakes_anew:
        engine.base.stop(group_address("g1"))
    given = m.MarkMessagesRead(caller=caller("c"), conversation_id="sg_g1", user_id="c", seqs=[1, 3, 4])
    whole = m.MarkConversationRead(caller=caller("c"), conversation_id="sg_g1", user_id="c", has_read_seq=4, seqs=[])
    for mark in (marks[1], given, whole):
        await _do(engine, mark)
        state = (await all_seq_states(engine.world.store, "c"))["sg_g1"]
        assert (state.max_seq, state.read_seq) == (2, 2)
    with pytest.raises(ArgsError):
        await _do(engine, m.SetReadSeq(caller=caller("c"), conversation_id="sg_g1", user_id="c", has_read_seq=5))
    await _do(engine, m.InviteMembers(caller=caller("a"), user_ids=["c"]))
    await _do(engine, marks[1])
    assert (await all_seq_states(engine.world.store, "c"))["sg_g1"].read_seq == 4


async def test_notifications_stored_after_a_kick_are_hidden(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b", "c")
    await _do(engine, m.KickMembers(caller=caller("a"), user_ids=["c"]))
    await engine.send(engine.message("a", group_id="g1"))
    mark = m.MarkMessagesRead(caller=caller("b"), conversation_id="sg_g1", user_id="b", seqs=[3])
    await _do(engine, mark)
    spans = await engine.world.store.spans("c", ["n_g1"])
    assert "n_g1" not in spans or spans["n_g1"].end < 1
    assert (await engine.world.store.spans("b", ["n_g1"]))["n_g1"].end == 1


async def test_rights_over_members(engine: KitEngine) -> None:
    await engine.register("a", "b", "c", "d")
    request = group_pb2.CreateGroupReq(
        ownerUserID="a", adminUserIDs=["b"], memberUserIDs=["c", "d"],
        groupInfo=sdkws_pb2.GroupInfo(groupName="G", groupType=2),
    )  # fmt: skip
    await _do(engine, m.CreateGroup(caller=caller("a"), request=request))
    for who, whom, error in [("c", "d", NoPermission), ("b", "a", NoPermission), ("b", "b", ArgsError),
                             ("b", "x", UserNotFound), ("imAdmin", "a", NoPermission)]:  # fmt: skip
        with pytest.raises(error):
            await _do(engine, m.KickMembers(caller=caller(who), user_ids=[whom]))
    with pytest.raises(NoPermission):
        await _do(engine, m.QuitGroup(caller=caller("a"), user_id="a"))
    with pytest.raises(NoPermission):
        await _do(engine, m.DismissGroup(caller=caller("b")))
    with pytest.raises(NoPermission):
        await _do(engine, m.MuteMember(caller=caller("c"), user_id="d", muted_seconds=5))
    await _do(engine, m.KickMembers(caller=caller("b"), user_ids=["d"]))
    await _do(engine, m.QuitGroup(caller=caller("c"), user_id="c"))
    assert [one.row.user_id for one in await engine.world.store.members("g1")] == ["a", "b"]


async def test_mutes(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await _create(engine, "a", "b", "c")
    await _do(engine, m.MuteMember(caller=caller("a"), user_id="b", muted_seconds=60))
    with pytest.raises(MutedInGroup):
        await engine.send(engine.message("b", group_id="g1"))
    engine.clock.now += 61_000
    await engine.send(engine.message("b", group_id="g1"))
    await _do(engine, m.MuteMember(caller=caller("a"), user_id="b", muted_seconds=60))
    await _do(engine, m.CancelMuteMember(caller=caller("a"), user_id="b"))
    await engine.send(engine.message("b", group_id="g1"))
    await _do(engine, m.MuteGroup(caller=caller("a")))
    with pytest.raises(MutedGroup):
        await engine.send(engine.message("b", group_id="g1"))
    await engine.send(engine.message("a", group_id="g1"))
    await _do(engine, m.CancelMuteGroup(caller=caller("a")))
    await engine.send(engine.message("b", group_id="g1"))
    kinds = [one.message.contentType for one in engine.sessions.received["c"] if one.message.seq]
    assert kinds == [1501, 1512, 101, 1512, 1513, 101, 1514, 101, 1515, 101]


async def test_dismissed_group_is_told_and_takes_no_more(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await _create(engine, "a", "b")
    await _do(engine, m.DismissGroup(caller=caller("a")))
    assert engine.sessions.received["b"][-1].message.contentType == 1511
    with pytest.raises(GroupDismissed):
        await engine.send(engine.message("a", group_id="g1"))
    with pytest.raises(GroupDismissed):
        await _do(engine, m.InviteMembers(caller=caller("a"), user_ids=["b"]))
    engine.base.stop(group_address("g1"))
    with pytest.raises(GroupDismissed):
        await engine.send(engine.message("a", group_id="g1"))
    assert await engine.world.store.joined_groups("b") == []
    assert len(await engine.world.store.records("b")) == 1


async def _members(engine: KitEngine, group_id: str) -> int:
    ids, place = await engine.world.store.member_ids(group_id, None, 10_000)
    assert place is None
    return len(ids)


@pytest.mark.parametrize("fault", ["", "stop", "before"])
async def test_members_of_a_large_group_are_dropped_in_slices(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Nobody else's writes wait for all of them. After a crash or a refusal the next incarnation goes on."""
    users = [f"u{number}" for number in range(2501)]
    for start in range(0, len(users), 1000):
        await engine.register(*users[start : start + 1000])
    await _create(engine, users[0], *users[1:1001])
    for start in range(1001, len(users), 1000):
        await _do(engine, m.InviteMembers(caller=caller(users[0]), user_ids=users[start : start + 1000]))
    gate = Gate(engine, monkeypatch)
    gate.hold()
    dismissing = asyncio.ensure_future(_do(engine, m.DismissGroup(caller=caller(users[0]))))
    await gate.arrived()
    gate.fail = ["", fault] if fault == "before" else []
    gate.release()
    await dismissing
    if fault == "stop":
        engine.base.stop(group_address("g1"))
    left = [await _members(engine, "g1")]
    while left[-1]:
        if fault:
            with pytest.raises(GroupDismissed):  # It wakes the group.
                await engine.send(engine.message(users[0], group_id="g1"))
        await asyncio.sleep(0.01)
        left.append(await _members(engine, "g1"))
    assert set(left) <= {1501, 501, 0}
    assert len(gate.batches) >= 3
    assert await engine.world.store.joined_groups(users[-1]) == []


async def test_member_who_comes_online_is_heard_of(engine: KitEngine) -> None:
    await engine.register("a", "b")
    engine.sessions.offline.add("b")
    await _create(engine, "a", "b")
    await engine.send(engine.message("a", group_id="g1"))
    engine.sessions.offline.discard("b")
    engine.base.tell_awake(group_address("g1"), m.MemberOnline("b"))
    await engine.send(engine.message("a", group_id="g1"))
    assert engine.sessions.seqs("b", "sg_g1") == [3]


async def test_new_nickname_of_a_member_is_told_to_his_groups(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await _create(engine, "a", "b")
    before = await engine.world.store.changes("members", "g1", 0)
    await engine.ask(user_address("b"), m.SetUserInfo(caller=caller("b"), changes={"nickname": "Bea"}))
    await engine.send(engine.message("a", group_id="g1"))
    kinds = [(one.conversation_id, one.message.contentType) for one in engine.sessions.received["a"]]
    assert kinds[-2:] == [("n_g1", 1516), ("sg_g1", 101)]
    tips = json.loads(json.loads(engine.sessions.received["a"][-2].message.content)["detail"])
    assert tips["changedUser"]["nickname"] == "Bea"
    log = await engine.world.store.changes("members", "g1", before.version)
    assert (log.version, tips["groupMemberVersion"]) == (before.version + 1, log.version)
    assert log.changed == [("b", 3, log.version)]


STEP = st.sampled_from(["send-a", "send-b", "send-c", "kick-b", "kick-c", "invite-b", "invite-c", "sleep", "settle"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=25), salt=st.integers(0, 10**9))
def test_each_hears_exactly_what_was_said_while_he_was_a_member(steps: list[str], salt: int) -> None:
    """Sends, kicks, invitations and sleeps at once: who is pushed what agrees with the order of the seqs."""
    asyncio.run(_run_steps(steps, salt))


async def _run_steps(steps: list[str], salt: int) -> None:
    async with running_engine() as engine:
        await engine.register("a", "b", "c")
        await _create(engine, "a", "b", "c")
        pending: list[asyncio.Future[Any]] = []
        for step in steps:
            verb, _, who = step.partition("-")
            if verb == "send":
                pending.append(engine.send(engine.message(who, group_id="g1")))
            elif verb == "kick":
                command = m.KickMembers(caller=caller("a"), user_ids=[who])
                pending.append(engine.ask(group_address("g1"), command))
            elif verb == "invite":
                invite = m.InviteMembers(caller=caller("a"), user_ids=[who])
                pending.append(engine.ask(group_address("g1"), invite))
            elif verb == "sleep":
                engine.base.stop(group_address("g1"))
            else:
                await asyncio.gather(*pending, return_exceptions=True)
        await asyncio.gather(*pending, return_exceptions=True)
        stored = await messages_of(engine.world.store, "sg_g1")
        assert [one.seq for one in stored] == list(range(1, len(stored) + 1))
        members = {"a", "b", "c"}
        heard: dict[str, list[int]] = {user: [] for user in "abc"}
        for one in stored:
            message = sdkws_pb2.MsgData.FromString(one.body)
            gone: set[str] = set()
            if message.contentType == 1508:
                tips = json.loads(json.loads(message.content)["detail"])
                gone = {each["userID"] for each in tips["kickedUserList"]}
            elif message.contentType == 1509:
                tips = json.loads(json.loads(message.content)["detail"])
                members |= {each["userID"] for each in tips["invitedUserList"]}
            elif message.contentType == 101:
                assert message.sendID in members
            for user in members:
                heard[user].append(one.seq)
            members -= gone
        for user in "abc":
            assert engine.sessions.seqs(user, "sg_g1") == heard[user]
            if user not in members:
                span = (await engine.world.store.spans(user, ["sg_g1"]))["sg_g1"]
                assert span.end == heard[user][-1]
