"""Conformance: what users see of records, groups, seqs and version logs, over every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.persistence.store import (
    BumpVersion,
    ChangeRecord,
    ChangeRow,
    ClaimKey,
    DropRows,
    PutRows,
    RaiseReadSeq,
    Reason,
    SeqState,
    Span,
)
from greenroom.persistence.tables import BlackRow, FriendRow, RecordRow, TokenRow, UserRow
from greenroom.tests.kit.listed import all_seq_states, newest_seqs
from greenroom.tests.persistence.store_writes import (
    commit,
    drop_members,
    group,
    group_key,
    member,
    members,
    message,
    pair,
    record,
    refused,
    user,
    users,
)

if TYPE_CHECKING:
    from greenroom.persistence.store import Store

A_B = "si_a_b"


async def test_tokens(store: Store) -> None:
    first, second = TokenRow("a", b"1" * 16, 1, 0, 100), TokenRow("a", b"0" * 16, 5, 0, 200)
    assert await commit(store, "user/a", PutRows([first, second])) is None
    kicked = TokenRow("a", b"1" * 16, 1, 2, 100)
    assert await commit(store, "user/a", PutRows([kicked])) is None
    assert await store.tokens("a") == [kicked, second]
    dropped = [("a", b"1" * 16), ("a", b"9" * 16), ("b", b"0" * 16)]
    assert await commit(store, "user/a", DropRows("token", [*dropped])) is None
    assert await store.tokens("a") == [second]
    assert await store.tokens("b") == []


async def test_pair_facts(store: Store) -> None:
    friend = PutRows([FriendRow("b", "a")])
    await commit(store, "user/a", users("a", "b"), PutRows([BlackRow("a", "b")]), friend, friend)
    await commit(store, "conversation/a_b", pair(), record(A_B, ("a", "b"), ("b", "a")))
    await commit(store, "conversation/a_b", ChangeRecord("b", A_B, {"recv_msg_opt": 2}))
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
    await commit(store, "conversation/a_b_c", ChangeRecord("a", "si_a_b_c", {"recv_msg_opt": 1}))
    assert (await store.pair_facts("a", "b_c"))["a"].recv_msg_opt == 1
    assert (await store.pair_facts("a_b", "c"))["c"].recv_msg_opt == 0


async def test_records(store: Store) -> None:
    await commit(store, "conversation/a_c", record("si_a_c", ("a", "c"), ("c", "a")))
    await commit(store, "group/g", record("sg_g", ("a", "")))
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")))
    # A record that is there stays, and its log with it.
    await commit(store, "conversation/a_c", ChangeRecord("a", "si_a_c", {"is_pinned": True, "ex": "x"}))
    await commit(store, "conversation/a_c", record("si_a_c", ("a", "c")))
    first, second, third = await store.records("a")
    assert first == RecordRow("a", "si_a_c", 1, "c", is_pinned=True, ex="x")
    assert second == RecordRow("a", "sg_g", 3, group_id="g")
    assert third == RecordRow("a", A_B, 1, "b")
    chosen = await store.records("a", [A_B, "si_x_y", "si_a_c"])
    assert [r.conversation_id for r in chosen] == [A_B, "si_a_c"]
    assert await store.records("a", []) == []
    assert await store.records("nobody") == []
    log = await store.changes("conversations", "a", 1)
    assert log.version == 5
    assert log.changed == [("sg_g", 1, 3), (A_B, 1, 4), ("si_a_c", 3, 5)]


async def test_change_of_a_record_that_is_missing(store: Store) -> None:
    assert await commit(store, "conversation/a_b", ChangeRecord("a", A_B, {"recv_msg_opt": 1})) is None
    assert await store.records("a") == []
    assert (await store.changes("conversations", "a", 0)).version == 1


async def test_every_column_of_a_record(store: Store) -> None:
    changed = RecordRow("a", A_B, 1, "b", "", 2, True, "att", True, 3, "ex", 4, 5, 6, 7, 8, 9, True)
    values = {name: getattr(changed, name) for name in RecordRow.__struct_fields__ if name not in RecordRow.KEY}
    del values["conversation_type"], values["peer_id"], values["group_id"]
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")))
    assert await commit(store, "conversation/a_b", ChangeRecord("a", A_B, values)) is None
    assert await store.records("a") == [changed]


async def test_group_with_members(store: Store) -> None:
    await commit(store, "user/x", users("a", "b", "c"))
    rows = members("g", member("b"), member("a", 100), member("c", 60, "Cee"), member("d"))
    assert await commit(store, "group/g", group_key(), group(count=4), rows) is None
    assert await store.groups(["no", "g"]) == group(count=4).rows
    full = await store.members("g")
    assert [one.row for one in full] == [rows.rows[place] for place in (1, 2, 0, 3)]
    assert [one.user for one in full] == [user("a"), user("c"), user("b"), UserRow("d")]
    assert [m.row.user_id for m in await store.members("g", ["d", "x", "a"])] == ["d", "a"]
    assert await store.members("no") == []


async def test_group_changes_hands_and_loses_members(store: Store) -> None:
    await commit(store, "group/g", group(), members("g", member("a", 100), member("b"), member("c")))
    changed = (
        ChangeRow("member", ("g", "a"), {"role_level": 20}),
        ChangeRow("member", ("g", "b"), {"role_level": 100, "nickname": "Bee", "mute_end_time": 9}),
        ChangeRow("member", ("g", "x"), {"nickname": "nobody"}),
        ChangeRow("group", ("g",), {"group_name": "New", "status": 3, "owner_user_id": "b", "member_count": 2}),
        ChangeRow("group", ("x",), {"group_name": "nothing"}),
        drop_members("g", "c", "x"),
    )
    assert await commit(store, "group/g", *changed) is None
    (info,) = await store.groups(["g"])
    assert (info.owner_user_id, info.member_count, info.group_name, info.status) == ("b", 2, "New", 3)
    assert [(m.row.user_id, m.row.nickname, m.row.mute_end_time) for m in await store.members("g")] == [
        ("b", "Bee", 9), ("a", "", 0),
    ]  # fmt: skip
    # Who comes back comes last.
    await commit(store, "group/g", drop_members("g", "a"), members("g", member("c"), member("a")))
    assert [m.row.user_id for m in await store.members("g")] == ["b", "c", "a"]


async def test_pages_and_ids_of_members(store: Store) -> None:
    names = [f"m{number}" for number in range(7)]
    await commit(store, "group/g", group(), members("g", *(member(name) for name in names)))
    await commit(store, "group/h", group("h"), members("h", member("m3"), member("x")))
    await commit(store, "group/g", ChangeRow("member", ("g", "m5"), {"role_level": 100}))
    await commit(store, "group/g", ChangeRow("member", ("g", "m2"), {"role_level": 60}))
    whole = await store.members("g")
    expected = ["m5", "m2", "m0", "m1", "m3", "m4", "m6"]
    assert [one.row.user_id for one in whole] == expected
    for offset, limit in ((0, 3), (3, 3), (6, 3), (0, 99), (7, 1), (0, 0), (2, -1), (-1, 2)):
        start = max(offset, 0)
        assert await store.members_page("g", offset, limit) == (7, whole[start : start + max(limit, 0)])
    assert await store.members_page("none", 0, 9) == (0, [])
    for limit in (1, 2, 3, 7, 8):
        ids, place = await store.member_ids("g", None, limit)
        while place is not None:
            assert len(ids) % limit == 0
            more, place = await store.member_ids("g", place, limit)
            ids += more
        assert ids == expected
    assert await store.member_ids("none", None, 9) == ([], None)


async def test_pages_and_ids_of_records(store: Store) -> None:
    for number in range(5):
        await commit(store, f"conversation/a_u{number}", record(f"si_a_u{number}", ("a", f"u{number}"), ("x", "")))
    await commit(store, "conversation/a_u1", ChangeRecord("a", "si_a_u1", {"is_pinned": True}))
    await commit(store, "conversation/a_u3", ChangeRecord("a", "si_a_u3", {"recv_msg_opt": 2, "is_pinned": True}))
    whole = await store.records("a")
    assert {row.peer_id for row in whole} == {f"u{number}" for number in range(5)}
    for offset, limit in ((0, 2), (2, 2), (4, 2), (0, 99), (5, 1), (0, 0), (2, -1), (-1, 2)):
        start = max(offset, 0)
        assert await store.records_page("a", offset, limit) == (5, whole[start : start + max(limit, 0)])
    assert await store.records_page("nobody", 0, 9) == (0, [])
    ids, place = await store.record_ids("a", None, 2)
    assert place is not None
    more, place = await store.record_ids("a", place, 99)
    assert (ids + more, place) == ([row.conversation_id for row in whole], None)
    assert sorted((await store.record_ids("a", None, 9, is_pinned=True))[0]) == ["si_a_u1", "si_a_u3"]
    assert await store.record_ids("a", None, 9, recv_msg_opt=2) == (["si_a_u3"], None)
    assert await store.record_ids("nobody", None, 9) == ([], None)


async def test_a_row_that_is_put_again_keeps_its_place(store: Store) -> None:
    await commit(store, "group/g", group(), members("g", member("a"), member("b"), member("c")))
    again = members("g", member("d"), member("a", 20, "Ann"), member("a", 20, "Anna"))
    assert await commit(store, "group/g", again, group(owner="b")) is None
    assert [(m.row.user_id, m.row.nickname) for m in await store.members("g")] == [
        ("a", "Anna"), ("b", ""), ("c", ""), ("d", ""),
    ]  # fmt: skip
    assert [row.owner_user_id for row in await store.groups(["g"])] == ["b"]


async def test_member_of_a_group_that_is_not_stored(store: Store) -> None:
    assert await refused(store, "group/no", members("no", member("a"))) == Reason.FAILED
    assert await store.joined_groups("a") == []


async def test_joined_groups(store: Store) -> None:
    for name, role in (("g1", 20), ("g2", 100), ("g3", 20), ("g4", 60)):
        await commit(store, f"group/{name}", group(name), members(name, member("a", role)))
    assert await store.joined_groups("a") == ["g2", "g4", "g1", "g3"]
    await commit(store, "group/g1", drop_members("g1", "a"))
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
    await commit(store, "conversation/a_b", ChangeRecord("a", A_B, {"min_seq": 2}))
    assert (await store.spans("a", [A_B]))[A_B] == Span(2, 2, 2)


async def test_spans_of_an_own_log_that_is_another_pairs(store: Store) -> None:
    # a_a_a_a is the key of a_a with themselves, and of a with a_a_a, who came first.
    key = "conversation/a_a_a_a"
    await commit(store, key, pair("a", "a_a_a"), message("n_a_a_a_a", 1))
    assert await store.spans("a_a", ["n_a_a_a_a"]) == {}
    assert await newest_seqs(store, "a_a") == {}


async def test_leaving_a_group_cuts_both_twins(store: Store) -> None:
    await commit(
        store, "group/g", group_key(), group(), members("g", member("a", 100), member("b")),
        *[message("sg_g", seq) for seq in range(1, 6)], message("n_g", 1), message("n_g", 2),
        record("sg_g", ("a", ""), ("b", "")),
    )  # fmt: skip
    leave = (
        message("n_g", 3),
        drop_members("g", "b"),
        ChangeRecord("b", "sg_g", {"max_seq": 5, "notification_max_seq": 3}),
    )
    assert await commit(store, "group/g", *leave) is None
    await commit(store, "group/g", message("sg_g", 6), message("n_g", 4))
    asked = ["sg_g", "n_g"]
    assert await store.spans("b", asked) == {"sg_g": Span(1, 5, 6), "n_g": Span(1, 3, 4)}
    assert await store.spans("a", asked) == {"sg_g": Span(1, 6, 6), "n_g": Span(1, 4, 4)}
    assert await newest_seqs(store, "b") == {"sg_g": 6, "n_g": 4}
    assert (await all_seq_states(store, "b"))["sg_g"].max_seq == 5
    back = ChangeRecord("b", "sg_g", {"max_seq": 0, "notification_max_seq": 0})
    await commit(store, "group/g", back)
    assert await store.spans("b", asked) == await store.spans("a", asked)


async def test_read_seq_past_what_is_walked(store: Store) -> None:
    """A user's own last message is found, whatever its client id; one who is not known has none."""
    await commit(store, "conversation/a_b", message(A_B, 1, client=""), message(A_B, 2), message(A_B, 3, client=""))
    await commit(store, "conversation/a_b", *[message(A_B, seq, "b") for seq in range(4, 100)])
    assert [await store.read_seq(A_B, name) for name in ("a", "b", "nobody")] == [3, 99, 0]


async def test_newest_seqs(store: Store) -> None:
    await commit(store, "conversation/a_b", pair(), message(A_B, 1), record(A_B, ("a", "b")))
    await commit(store, "group/g", group_key(), record("sg_g", ("a", "")), message("n_g", 1))
    await commit(
        store, "conversation/a_a", ClaimKey("pair", ("a", "a")), message("n_a_a", 1), message("n_a_a", 2)
    )
    assert await newest_seqs(store, "a") == {A_B: 1, "n_g": 1, "n_a_a": 2}
    assert await newest_seqs(store, "nobody") == {}


async def test_seq_states(store: Store) -> None:
    await commit(store, "conversation/a_b", message(A_B, 1, time=5), message(A_B, 2, "b", time=6))
    await commit(store, "conversation/a_b", record(A_B, ("a", "b")), RaiseReadSeq(A_B, "a", 1))
    await commit(store, "group/g", record("sg_g", ("a", "")))
    expected = {A_B: SeqState(2, 1, 6), "sg_g": SeqState(0, 0, 0)}
    assert await all_seq_states(store, "a") == expected
    assert await store.seq_states("a", [A_B, "si_x_y"]) == {A_B: expected[A_B]}
    assert await store.seq_states("a", []) == {}
    assert await all_seq_states(store, "b") == {}


async def test_notification_states(store: Store) -> None:
    await commit(store, "conversation/a_b", pair(), message(A_B, 1), record(A_B, ("a", "b"), ("b", "a")))
    await commit(store, "conversation/a_b", message("n_a_b", 1, time=7), message("n_a_b", 2, time=8))
    await commit(store, "user/b", ChangeRecord("b", A_B, {"notification_max_seq": 1}))
    await commit(store, "conversation/a_a", ClaimKey("pair", ("a", "a")), message("n_a_a", 1, time=9))
    asked = ["n_a_b", "n_a_a", "n_x", A_B]
    assert await store.notification_states("a", asked) == {"n_a_b": SeqState(2, 0, 8), "n_a_a": SeqState(1, 0, 9)}
    assert await store.notification_states("b", asked) == {"n_a_b": SeqState(1, 0, 7)}
    assert await store.notification_states("nobody", asked) == {}


async def test_seqs_of_thousands_of_conversations(store: Store) -> None:
    writes = [
        w for i in range(2_000) for w in (message(f"si_a_u{i}", 1), record(f"si_a_u{i}", ("a", f"u{i}")))
    ]
    assert await commit(store, "user/a", *writes) is None
    assert len(await newest_seqs(store, "a")) == 2_000
    assert len(await all_seq_states(store, "a")) == 2_000
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
    assert await refused(store, "group/g", BumpVersion("members", "g", [("a", 1)])) == Reason.FAILED
    await commit(store, "group/g", group(), BumpVersion("members", "g", [("a", 1), ("", 3)]))
    log = await store.changes("members", "g", 1)
    assert log.version == 2
    assert sorted(log.changed or []) == [("", 3, 2), ("a", 1, 2)]
