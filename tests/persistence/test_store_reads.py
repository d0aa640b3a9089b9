"""Conformance: what users see of records, groups, seqs and version logs, over every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.persistence.store import (
    AddBlack,
    AddFriend,
    BumpVersion,
    ClaimKey,
    Columns,
    DropMembers,
    DropTokens,
    RaiseReadSeq,
    Reason,
    SeqState,
    SetGroup,
    SetMember,
    SetRecord,
    SetTokens,
    Span,
    TokenRow,
)
from greenroom.tests.persistence.store_writes import (
    commit,
    group,
    member,
    members,
    message,
    pair,
    record,
    users,
)

if TYPE_CHECKING:
    from greenroom.persistence.store import Store

A_B = "si_a_b"


async def test_tokens(store: Store) -> None:
    first, second = TokenRow(1, b"1" * 16, 0, 100), TokenRow(5, b"0" * 16, 0, 200)
    assert await commit(store, "user/a", SetTokens("a", [first, second])) is None
    kicked = TokenRow(1, b"1" * 16, 2, 100)
    assert await commit(store, "user/a", SetTokens("a", [kicked])) is None
    assert await store.tokens("a") == [kicked, second]
    assert await commit(store, "user/a", DropTokens("a", [b"1" * 16, b"9" * 16])) is None
    assert await store.tokens("a") == [second]
    assert await store.tokens("b") == []


async def test_pair_facts(store: Store) -> None:
    await commit(
        store, "user/a", users("a", "b"), AddBlack("a", "b"), AddFriend("b", "a"), AddFriend("b", "a")
    )
    await commit(store, "conversation/a_b", pair(), record(A_B, ("a", "b"), ("b", "a")))
    await commit(store, "conversation/a_b", SetRecord("b", A_B, {"recv_msg_opt": 2}))
    facts = await store.pair_facts("a", "b")
    assert list(facts) == ["a", "b"]
    assert facts["a"] == (True, 1, 0, 0, True, False)
    assert facts["b"] == (True, 1, 0, 2, False, True)
    facts = await store.pair_facts("b", "nobody")
    assert (facts["nobody"], facts["b"]) == ((False, 0, 0, 0, False, False), (True, 1, 0, 0, False, False))
    assert list(await store.pair_facts("a", "a")) == ["a"]


async def test_pair_facts_of_an_ambiguous_pair(store: Store) -> None:
    await commit(store, "user/a", users("a", "a_b", "b_c", "c"))
    await commit(store, "conversation/a_b_c", pair("a", "b_c"), record("si_a_b_c", ("a", "b_c")))
    await commit(store, "conversation/a_b_c", SetRecord("a", "si_a_b_c", {"recv_msg_opt": 1}))
    assert (await store.pair_facts("a", "b_c"))["a"].recv_msg_opt == 1
    assert (await store.pair_facts("a_b", "c"))["c"].recv_msg_opt == 0


async def test_records(store: Store) -> None:
    await commit(store, "conversation/a_c", record("si_a_c", ("a", "c"), ("c", "a")))
    await commit(store, "group/g", record("sg_g", ("a", "")))
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")))
    # A record that is there stays, and its log with it.
    await commit(store, "conversation/a_c", SetRecord("a", "si_a_c", {"is_pinned": True, "ex": "x"}))
    await commit(store, "conversation/a_c", record("si_a_c", ("a", "c")))
    first, second, third = await store.records("a")
    assert [first.conversationID, second.conversationID, third.conversationID] == ["si_a_c", "sg_g", A_B]
    assert (first.ownerUserID, first.userID, first.conversationType, first.groupID) == ("a", "c", 1, "")
    assert (first.isPinned, first.ex, first.recvMsgOpt) == (True, "x", 0)
    assert (second.conversationType, second.groupID, second.userID) == (3, "g", "")
    chosen = await store.records("a", [A_B, "si_x_y", "si_a_c"])
    assert [r.conversationID for r in chosen] == [A_B, "si_a_c"]
    assert await store.records("a", []) == []
    assert await store.records("nobody") == []
    log = await store.changes("conversations", "a", 1)
    assert log.version == 5
    assert log.changed == [("sg_g", 1, 3), (A_B, 1, 4), ("si_a_c", 3, 5)]


async def test_set_record_that_is_missing(store: Store) -> None:
    assert await commit(store, "conversation/a_b", SetRecord("a", A_B, {"recv_msg_opt": 1})) is None
    assert await store.records("a") == []
    assert (await store.changes("conversations", "a", 0)).version == 1


async def test_every_column_of_a_record(store: Store) -> None:
    changes: Columns = {
        "recv_msg_opt": 2, "is_pinned": True, "attached_info": "att", "is_private_chat": 1,
        "group_at_type": 3, "ex": "ex", "burn_duration": 4, "min_seq": 5, "max_seq": 6,
        "notification_max_seq": 7, "msg_destruct_time": 8, "latest_msg_destruct_time": 9,
        "is_msg_destruct": True,
    }  # fmt: skip
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")))
    assert await commit(store, "conversation/a_b", SetRecord("a", A_B, changes)) is None
    (one,) = await store.records("a")
    assert (one.recvMsgOpt, one.isPinned, one.attachedInfo, one.isPrivateChat) == (2, True, "att", True)
    assert (one.groupAtType, one.ex, one.burnDuration, one.minSeq, one.maxSeq) == (3, "ex", 4, 5, 6)
    assert (one.msgDestructTime, one.latestMsgDestructTime, one.isMsgDestruct) == (8, 9, True)


async def test_group_with_members(store: Store) -> None:
    await commit(store, "user/x", users("a", "b", "c"))
    rows = members("g", member("b"), member("a", 100), member("c", 60, "Cee"), member("d"))
    assert await commit(store, "group/g", ClaimKey("group", ()), group(), rows) is None
    (info,) = await store.groups(["no", "g"])
    assert (info.groupID, info.ownerUserID, info.memberCount, info.introduction) == ("g", "a", 4, "intro")
    assert (info.groupType, info.creatorUserID, info.createTime) == (2, "a", 5)
    full = await store.members("g")
    assert [(m.userID, m.roleLevel, m.nickname) for m in full] == [
        ("a", 100, "A"), ("c", 60, "Cee"), ("b", 20, "B"), ("d", 20, ""),
    ]  # fmt: skip
    assert (full[0].faceURL, full[0].appMangerLevel, full[3].appMangerLevel) == ("http://a", 1, 0)
    assert (full[0].joinTime, full[0].joinSource, full[0].inviterUserID) == (7, 2, "a")
    assert [m.userID for m in await store.members("g", ["d", "x", "a"])] == ["d", "a"]
    assert await store.members("no") == []


async def test_group_changes_hands_and_loses_members(store: Store) -> None:
    await commit(store, "group/g", group(), members("g", member("a", 100), member("b"), member("c")))
    changed = (
        SetMember("g", "a", {"role_level": 20}),
        SetMember("g", "b", {"role_level": 100, "nickname": "Bee", "mute_end_time": 9}),
        SetMember("g", "x", {"nickname": "nobody"}),
        SetGroup("g", {"group_name": "New", "status": 3}),
        SetGroup("x", {"group_name": "nothing"}),
        DropMembers("g", ["c", "x"]),
    )
    assert await commit(store, "group/g", *changed) is None
    (info,) = await store.groups(["g"])
    assert (info.ownerUserID, info.memberCount, info.groupName, info.status) == ("b", 2, "New", 3)
    assert [(m.userID, m.nickname, m.muteEndTime) for m in await store.members("g")] == [
        ("b", "Bee", 9), ("a", "", 0),
    ]  # fmt: skip
    # Who comes back comes last.
    await commit(store, "group/g", DropMembers("g", ["a"]), members("g", member("c"), member("a")))
    assert [m.userID for m in await store.members("g")] == ["b", "c", "a"]


async def test_group_that_exists_and_member_that_is_one(store: Store) -> None:
    await commit(store, "group/g", group(), members("g", member("a", 100)))
    for write in (group(), members("g", member("b"), member("a")), members("no", member("a"))):
        refused = await commit(store, "group/g", write)
        assert refused is not None
        assert refused.reason == Reason.FAILED
    assert [m.userID for m in await store.members("g")] == ["a"]


async def test_joined_groups(store: Store) -> None:
    for name, role in (("g1", 20), ("g2", 100), ("g3", 20), ("g4", 60)):
        await commit(store, f"group/{name}", group(name), members(name, member("a", role)))
    assert await store.joined_groups("a") == ["g2", "g4", "g1", "g3"]
    await commit(store, "group/g1", DropMembers("g1", ["a"]))
    assert await store.joined_groups("a") == ["g2", "g4", "g3"]
    assert await store.joined_groups("nobody") == []


async def test_spans_of_a_pair(store: Store) -> None:
    await commit(
        store, "conversation/a_b", pair(), message(A_B, 1), message(A_B, 2), message("n_a_b", 1),
        record(A_B, ("a", "b"), ("b", "a")),
    )  # fmt: skip
    asked = [A_B, "n_a_b", "n_a_a", "n_b_b", "si_x_y", "n_x_y", "n_"]
    expected = {A_B: Span(1, 2, 2), "n_a_b": Span(1, 1, 1)}
    assert await store.spans("a", asked) == expected
    await commit(store, "conversation/a_a", ClaimKey("pair", ("a", "a")), message("n_a_a", 1))
    assert await store.spans("a", asked) == expected | {"n_a_a": Span(1, 1, 1)}
    assert await store.spans("c", asked) == {}
    await commit(store, "conversation/a_b", SetRecord("a", A_B, {"min_seq": 2}))
    assert (await store.spans("a", [A_B]))[A_B] == Span(2, 2, 2)


async def test_spans_of_an_own_log_that_is_another_pairs(store: Store) -> None:
    # a_a_a_a is the key of a_a with himself, and of a with a_a_a, who came first.
    await commit(store, "conversation/a_a_a_a", pair("a", "a_a_a"), message("n_a_a_a_a", 1))
    assert await store.spans("a_a", ["n_a_a_a_a"]) == {}
    assert await store.newest_seqs("a_a") == {}


async def test_leaving_a_group_cuts_both_twins(store: Store) -> None:
    await commit(
        store, "group/g", ClaimKey("group", ()), group(), members("g", member("a", 100), member("b")),
        *[message("sg_g", seq) for seq in range(1, 6)], message("n_g", 1), message("n_g", 2),
        record("sg_g", ("a", ""), ("b", "")),
    )  # fmt: skip
    leave = (
        message("n_g", 3),
        DropMembers("g", ["b"]),
        SetRecord("b", "sg_g", {"max_seq": 5, "notification_max_seq": 3}),
    )
    assert await commit(store, "group/g", *leave) is None
    await commit(store, "group/g", message("sg_g", 6), message("n_g", 4))
    asked = ["sg_g", "n_g"]
    assert await store.spans("b", asked) == {"sg_g": Span(1, 5, 6), "n_g": Span(1, 3, 4)}
    assert await store.spans("a", asked) == {"sg_g": Span(1, 6, 6), "n_g": Span(1, 4, 4)}
    assert await store.newest_seqs("b") == {"sg_g": 6, "n_g": 4}
    assert (await store.seq_states("b", None))["sg_g"].max_seq == 5
    back = SetRecord("b", "sg_g", {"max_seq": 0, "notification_max_seq": 0})
    await commit(store, "group/g", back)
    assert await store.spans("b", asked) == await store.spans("a", asked)


async def test_read_seq_past_what_is_walked(store: Store) -> None:
    """His own last message is found, whatever its client id, and who is not known has none."""
    await commit(store, "conversation/a_b", message(A_B, 1, client=""), message(A_B, 2), message(A_B, 3, client=""))
    await commit(store, "conversation/a_b", *[message(A_B, seq, "b") for seq in range(4, 100)])
    assert [await store.read_seq(A_B, name) for name in ("a", "b", "nobody")] == [3, 99, 0]


async def test_newest_seqs(store: Store) -> None:
    await commit(store, "conversation/a_b", pair(), message(A_B, 1), record(A_B, ("a", "b")))
    await commit(store, "group/g", record("sg_g", ("a", "")), message("n_g", 1))
    await commit(
        store, "conversation/a_a", ClaimKey("pair", ("a", "a")), message("n_a_a", 1), message("n_a_a", 2)
    )
    assert await store.newest_seqs("a") == {A_B: 1, "n_g": 1, "n_a_a": 2}
    assert await store.newest_seqs("nobody") == {}


async def test_seq_states(store: Store) -> None:
    await commit(store, "conversation/a_b", message(A_B, 1, time=5), message(A_B, 2, "b", time=6))
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")), RaiseReadSeq(A_B, "a", 1))
    await commit(store, "group/g", record("sg_g", ("a", "")))
    expected = {A_B: SeqState(2, 1, 6), "sg_g": SeqState(0, 0, 0)}
    assert await store.seq_states("a", None) == expected
    assert await store.seq_states("a", [A_B, "si_x_y"]) == {A_B: expected[A_B]}
    assert await store.seq_states("a", []) == {}
    assert await store.seq_states("b", None) == {}


async def test_seqs_of_thousands_of_conversations(store: Store) -> None:
    writes = [
        w for i in range(2_000) for w in (message(f"si_a_u{i}", 1), record(f"si_a_u{i}", ("a", f"u{i}")))
    ]
    assert await commit(store, "user/a", *writes) is None
    assert len(await store.newest_seqs("a")) == 2_000
    assert len(await store.seq_states("a", None)) == 2_000
    assert len(await store.spans("a", [f"si_a_u{i}" for i in range(2_000)])) == 2_000
    assert len(await store.last_messages({f"si_a_u{i}": 1 for i in range(2_000)})) == 2_000


async def test_version_log(store: Store) -> None:
    await commit(store, "user/a", users("a", "b"))
    empty = await store.changes("friends", "a", 0)
    assert (empty.version, empty.changed, len(empty.version_id)) == (1, [], 24)
    bytes.fromhex(empty.version_id)
    await commit(store, "user/a", BumpVersion("friends", "a", [("b", 1), ("c", 1)]))
    await commit(store, "user/a", BumpVersion("friends", "a", [("d", 1)]))
    # An entry is rewritten by the next change of the same id.
    await commit(store, "user/a", BumpVersion("friends", "a", [("b", 2)]))
    log = await store.changes("friends", "a", 1)
    assert (log.version, log.version_id) == (4, empty.version_id)
    assert log.changed == [("c", 1, 2), ("d", 1, 3), ("b", 2, 4)]
    assert (await store.changes("friends", "a", 3)).changed == [("b", 2, 4)]
    assert (await store.changes("friends", "a", 4)).changed == []
    assert (await store.changes("friends", "a", 1, limit=3)).changed is not None
    assert (await store.changes("friends", "a", 1, limit=2)).changed is None
    assert (await store.changes("joined", "a", 0)).version == 1
    ids = {(await store.changes(kind, "a", 0)).version_id for kind in ("friends", "joined", "conversations")}
    assert len(ids | {(await store.changes("friends", "b", 0)).version_id}) == 4


async def test_version_log_of_a_group(store: Store) -> None:
    refused = await commit(store, "group/g", BumpVersion("members", "g", [("a", 1)]))
    assert refused is not None
    assert refused.reason == Reason.FAILED
    await commit(store, "group/g", group(), BumpVersion("members", "g", [("a", 1), ("", 3)]))
    log = await store.changes("members", "g", 1)
    assert log.version == 2
    assert sorted(log.changed or []) == [("", 3, 2), ("a", 1, 2)]
