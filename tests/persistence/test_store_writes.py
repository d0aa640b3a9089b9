"""Conformance: slices, refusals, epochs and messages, over every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.persistence.store import (
    CHATS_OF,
    AddRecords,
    AddUsers,
    BumpVersion,
    ChangeRecord,
    ChangeRow,
    FirstAnswer,
    KeyState,
    RaiseReadSeq,
    Reading,
    Reason,
    RecordOwner,
    SetReadFlags,
    Slice,
    StoredMessage,
)
from greenroom.tests.kit.listed import all_seq_states, newest_seqs
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.store_writes import (
    commit,
    group,
    group_key,
    message,
    pair,
    record,
    refused,
    user,
    users,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.store import AnyWrite, Store

A_B = "si_a_b"


async def test_commit_of_nothing(store: Store) -> None:
    assert await store.commit([]) == []
    assert await store.commit([Slice("user/a", store.epoch, [])]) == [None]


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
async def test_same_change_for_many_users(store: Store, is_apart: bool) -> None:
    """It is written with joined statements, and gives what one write after the other gives. `apart`: beside a slice
    that is refused, so that each slice is applied for itself."""
    ids = [f"u{number}" for number in range(300)]
    chat = "sg_g"
    await commit(store, "group/g", group_key(), group(), record(chat, *((user_id, "") for user_id in ids[1:])))
    before = {user_id: (await store.changes("conversations", user_id, 0)).version for user_id in ids}
    writes: list[AnyWrite] = [
        *(BumpVersion("joined", user_id, [("g", 1)]) for user_id in ids),
        *(BumpVersion("joined", user_id, [("g", 2), ("h", 1)]) for user_id in ids),
        *(BumpVersion("joined", "u5", [("x", 3)]) for _ in range(4)),
        *(ChangeRecord(user_id, chat, {"max_seq": 7, "ex": "bound"}) for user_id in [*ids, "nobody"]),
        *(ChangeRecord(user_id, "sg_unknown", {"max_seq": 9}) for user_id in ids),
        *(ChangeRecord("u6", chat, {"min_seq": 2}) for _ in range(3)),
    ]
    slices = [Slice("group/g", store.epoch, writes)]
    if is_apart:
        slices.append(Slice("conversation/a_b", store.epoch, [message(A_B, 5)]))
    assert (await store.commit(slices))[0] is None
    for user_id in [*ids[::50], "u5", "u6"]:
        joined = await store.changes("joined", user_id, 0)
        own = 4 if user_id == "u5" else 0
        assert joined.version == 3 + own
        assert {(entry, state) for entry, state, _ in joined.changed or []} == {
            ("g", 2), ("h", 1), *([("x", 3)] if own else [])
        }  # fmt: skip
        rows = await store.records(user_id, [chat])
        assert [(row.max_seq, row.ex, row.min_seq) for row in rows] == (
            [] if user_id == "u0" else [(7, "bound", 2 if user_id == "u6" else 0)]
        )
        changes = (await store.changes("conversations", user_id, 0)).version - before[user_id]
        assert changes == {"u0": 0, "u6": 4}.get(user_id, 1)
    assert await refused(
        store, "group/g", *(ChangeRecord(user_id, chat, {"is_pinned": flag}) for user_id, flag in
        [("u1", True), ("u2", True), ("u3", 1)]),
    ) == Reason.FAILED  # fmt: skip


async def test_slice_is_all_or_nothing(store: Store) -> None:
    outcome = await commit(store, "conversation/a_b", pair(), message(A_B, 1), message(A_B, 3))
    assert outcome is not None
    assert (outcome.reason, outcome.write) == (Reason.FAILED, 2)
    assert await store.key("pair", "a_b") is None
    assert await messages_of(store, A_B) == []
    assert await commit(store, "conversation/a_b", pair(), message(A_B, 1)) is None


async def test_refused_slice_amid_fifty(store: Store) -> None:
    assert await commit(store, "conversation/a_b", message(A_B, 1, client="again")) is None
    slices = [Slice(f"conversation/a_u{i}", store.epoch, [message(f"si_a_u{i}", 1)]) for i in range(50)]
    slices[20] = Slice("conversation/a_b", store.epoch, [message(A_B, 2, client="again")])
    slices[30] = Slice("conversation/a_u29", store.epoch, [message("si_a_u29", 2)])
    outcomes = await store.commit(slices)
    assert [i for i, outcome in enumerate(outcomes) if outcome is not None] == [20]
    assert outcomes[20] is not None
    assert outcomes[20].reason == Reason.REPEATED
    for i in set(range(50)) - {20, 30}:
        assert [m.seq for m in await messages_of(store, f"si_a_u{i}")] == ([1, 2] if i == 29 else [1])
    assert [m.seq for m in await messages_of(store, A_B)] == [1]
    assert await commit(store, "conversation/a_b", message(A_B, 2)) is None


async def test_commits_in_the_order_of_their_calls(store: Store) -> None:
    waiting = [
        store.commit([Slice("conversation/a_b", store.epoch, [message(A_B, seq)])]) for seq in range(1, 40)
    ]
    for one in waiting:
        assert await one == [None]
    assert [m.seq for m in await messages_of(store, A_B)] == list(range(1, 40))


async def test_seq_that_does_not_follow(store: Store) -> None:
    for seq in (0, 2, -1):
        refused = await commit(store, "conversation/a_b", message(A_B, seq))
        assert refused is not None
        assert refused.reason == Reason.FAILED
    assert await commit(store, "conversation/a_b", message(A_B, 1)) is None
    refused = await commit(store, "conversation/a_b", message(A_B, 1, client="other"))
    assert refused is not None
    assert refused.reason == Reason.FAILED


@pytest.mark.parametrize("client", ["c1", "0" * 32, "A" * 32, "é" * 40])
async def test_repeat(store: Store, client: str) -> None:
    first = message(A_B, 1, client=client)
    assert await commit(store, "conversation/a_b", first) is None
    refused = await commit(store, "conversation/a_b", message(A_B, 2), message(A_B, 3, client=client))
    answer = FirstAnswer(1, first.server_msg_id, first.send_time)
    assert refused is not None
    assert (refused.reason, refused.write, refused.first) == (Reason.REPEATED, 1, answer)
    # Another sender's, or in another conversation, is no repeat.
    assert await commit(store, "conversation/a_b", message(A_B, 2, "b", client)) is None
    assert await commit(store, "conversation/a_c", message("si_a_c", 1, "a", client)) is None


async def test_repeat_within_one_slice_and_within_one_batch(store: Store) -> None:
    again = message(A_B, 1, client="c"), message(A_B, 2, client="c")
    refused = await commit(store, "conversation/a_b", *again)
    assert refused is not None
    assert (refused.reason, refused.write) == (Reason.REPEATED, 1)
    first, second = await store.commit([Slice("conversation/a_b", store.epoch, [one]) for one in again])
    assert first is None
    assert second is not None
    assert second.first == FirstAnswer(1, again[0].server_msg_id, again[0].send_time)


async def test_ids_that_look_alike_are_no_repeats(store: Store) -> None:
    ids = ["ab" * 16, "AB" * 16, "ab" * 16 + " ", "ab " * 10 + "ab", " " * 32, "0"]
    writes = [message(A_B, seq, client=client) for seq, client in enumerate(ids, 1)]
    assert await commit(store, "conversation/a_b", *writes) is None


async def test_empty_client_ids_are_no_repeats(store: Store) -> None:
    assert await commit(store, "group/g", *[message("sg_g", seq, client="") for seq in (1, 2, 3)]) is None


async def test_server_ids_come_back_as_they_were(store: Store) -> None:
    for seq, server in enumerate(["ab" * 16, "AB" * 16, "", "x", "7" * 32], 1):
        one = message(A_B, seq, client=f"c{seq}")
        one = type(one)(A_B, seq, "a", f"c{seq}", server, one.send_time, one.content_type, one.body)
        assert await commit(store, "conversation/a_b", one) is None
        refused = await commit(store, "conversation/a_b", message(A_B, seq + 1, client=f"c{seq}"))
        assert refused is not None
        assert refused.first is not None
        assert refused.first.server_msg_id == server


async def test_key_taken(store: Store) -> None:
    assert await commit(store, "conversation/a_b_c", pair("a", "b_c")) is None
    assert await commit(store, "conversation/a_b_c", pair("a", "b_c")) is None
    assert await refused(store, "conversation/a_b_c", pair("a_b", "c")) == Reason.KEY_TAKEN
    assert await refused(store, "group/a_b_c", pair("a", "b_c")) == Reason.FAILED
    assert await refused(store, "user/a_b_c", pair("a", "b_c")) == Reason.FAILED
    assert await store.key("group", "a_b_c") is None
    assert await commit(store, "group/a_b_c", group_key()) is None
    assert await store.key("pair", "a_b_c") == KeyState("pair", ("a", "b_c"), "", {})
    assert await store.key("group", "a_b_c") == KeyState("group", (), "", {})


async def test_pair_and_group_of_one_name(store: Store) -> None:
    """Each has its own chat. The notifications belong to the one that wrote first; the other's are elsewhere."""
    chat = record("sg_a_b", ("c", "")), message("sg_a_b", 1, "c")
    assert await commit(store, "group/a_b", group_key(), *chat, message("n_a_b", 1, "c")) is None
    assert await commit(store, "conversation/a_b", pair(), message(A_B, 1), record(A_B, ("a", "b"))) is None
    assert await refused(store, "conversation/a_b", message("n_a_b", 1)) == Reason.TWIN_TAKEN
    assert await commit(store, "conversation/a_b", message("n_si_a_b", 1)) is None
    assert await commit(store, "conversation/a_b", message("n_si_a_b", 2)) is None
    assert await refused(store, "conversation/a_b", message("n_other", 1)) == Reason.TWIN_TAKEN
    twins = {kind: await store.key(kind, "a_b") for kind in CHATS_OF}
    assert {kind: state and (state.twin, {*state.conversations}) for kind, state in twins.items()} == {
        "pair": ("n_si_a_b", {A_B, "n_si_a_b"}), "group": ("n_a_b", {"sg_a_b", "n_a_b"}),
    }  # fmt: skip
    asked = [A_B, "sg_a_b", "n_a_b", "n_si_a_b"]
    assert {*await store.spans("a", asked)} == {A_B, "n_si_a_b"}
    assert {*await store.spans("c", asked)} == {"sg_a_b", "n_a_b"}
    assert await newest_seqs(store, "a") == {A_B: 1, "n_si_a_b": 2}
    assert await newest_seqs(store, "c") == {"sg_a_b": 1, "n_a_b": 1}


async def test_notifications_of_a_key_that_is_not_claimed(store: Store) -> None:
    for key in ("conversation/a_b", "group/a_b", "user/a"):
        assert await refused(store, key, message("n_a_b", 1)) == Reason.FAILED


async def test_repeat_of_a_first_notification(store: Store) -> None:
    """Elsewhere the same client id is another message; of the same key it is a repeat."""
    assert await commit(store, "conversation/a_b", pair(), message("n_a_b", 1)) is None
    assert await refused(store, "conversation/a_b", message("n_a_b", 1)) == Reason.REPEATED
    assert await commit(store, "group/a_b", group_key()) is None
    assert await refused(store, "group/a_b", message("n_a_b", 1)) == Reason.TWIN_TAKEN


async def test_key_with_conversations(store: Store) -> None:
    writes = message(A_B, 1, time=50), message("n_a_b", 1, "b", time=60), message("n_a_b", 2, "b", time=70)
    assert await commit(store, "conversation/a_b", pair(), *writes) is None
    state = await store.key("pair", "a_b")
    assert state is not None
    assert {k: tuple(v) for k, v in state.conversations.items()} == {A_B: (1, 50), "n_a_b": (2, 70)}


async def test_stale_epoch_of_a_slice(store: Store) -> None:
    stale, fresh = await store.commit(
        [
            Slice("conversation/a_b", store.epoch - 1, [message(A_B, 1)]),
            Slice("conversation/a_b", store.epoch, [message(A_B, 1)]),
        ]
    )
    assert stale is not None
    assert stale.reason == Reason.STALE_EPOCH
    assert fresh is None


async def test_stale_epoch_after_a_second_opening(opening: Callable[[], Store]) -> None:
    first, second = opening(), opening()
    await first.open()
    assert await commit(first, "conversation/a_b", message(A_B, 1)) is None
    await second.open()
    assert second.epoch > first.epoch
    refused = await commit(first, "conversation/a_b", message(A_B, 2))
    assert refused is not None
    assert refused.reason == Reason.STALE_EPOCH
    assert await commit(second, "conversation/a_b", message(A_B, 2)) is None
    assert [m.seq for m in await messages_of(first, A_B)] == [1, 2]
    await first.close()
    await second.close()


async def test_what_was_committed_outlives_the_opening(opening: Callable[[], Store]) -> None:
    first = opening()
    await first.open()
    assert await commit(first, "conversation/a_b", pair(), message(A_B, 1), record(A_B, ("a", "b"))) is None
    before = await first.changes("conversations", "a", 0)
    await first.close()
    second = opening()
    await second.open()
    assert await messages_of(second, A_B) == [StoredMessage(1, b"body 1", False)]
    assert await second.changes("conversations", "a", 0) == before
    assert await commit(second, "conversation/a_b", message(A_B, 2)) is None
    await second.close()


async def test_close_finishes_the_commits_under_way(opening: Callable[[], Store]) -> None:
    import asyncio

    store = opening()
    await store.open()
    commits = [
        asyncio.ensure_future(store.commit([Slice("conversation/a_b", store.epoch, [message(A_B, seq)])]))
        for seq in range(1, 20)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*commits) == [[None]] * 19


async def test_commit_to_a_closed_store(opening: Callable[[], Store]) -> None:
    refused = await commit(opening(), "user/a", users("a"))
    assert refused is not None
    assert refused.reason == Reason.FAILED


async def test_column_that_is_not_there_or_takes_no_such_value(store: Store) -> None:
    await commit(store, "user/a", users("a"), group(), record(A_B, ("a", "b")))
    for write in (
        ChangeRow("user", ("a",), {"registered": 2}),
        ChangeRow("user", ("a",), {"user_id": "b"}),
        ChangeRow("user", ("a",), {"nickname": 3}),
        ChangeRow("group", ("g",), {"status": True}),
        ChangeRow("group", ("g",), {"status": 1 << 63}),
        ChangeRow("member", ("g", "a"), {"owner_user_id": "a"}),
        ChangeRecord("a", A_B, {"is_pinned": 1}),
        ChangeRecord("a", A_B, {"nickname = '' --": 1}),
    ):
        refused = await commit(store, "user/a", write)
        assert refused is not None
        assert refused.reason == Reason.FAILED


async def test_number_out_of_bounds_fails_its_slice_alone(store: Store) -> None:
    bad = Slice("conversation/a_c", store.epoch, [message("si_a_c", 1, time=1 << 63)])
    good = Slice("conversation/a_b", store.epoch, [message(A_B, 1)])
    refused, fine = await store.commit([bad, good])
    assert refused is not None
    assert refused.reason == Reason.FAILED
    assert fine is None


async def test_messages_by_seq_and_the_last(store: Store) -> None:
    assert await commit(store, "conversation/a_b", *[message(A_B, seq) for seq in range(1, 11)]) is None
    assert [m.seq for m in await store.messages_at(A_B, [7, 99, 2, -1])] == [7, 2]
    assert await store.messages_at("si_x_y", [1]) == []
    assert (await store.messages_at(A_B, [4]))[0].body == b"body 4"
    last = await store.last_messages({A_B: 6, "si_x_y": 3})
    assert {k: v.seq for k, v in last.items()} == {A_B: 6}
    assert (await store.last_messages({A_B: 99}))[A_B].seq == 10
    assert await store.last_messages({A_B: 0}) == {}


async def test_pull_of_many_ranges(store: Store) -> None:
    chats = [f"si_a_{name}" for name in "bcdefg"]
    for chat in chats:
        sent = [message(chat, seq) for seq in range(1, 6)]
        assert await commit(store, f"conversation/{chat[3:]}", record(chat, ("a", chat[5:])), *sent) is None
    asked = [(chat, number, 4, 3) for number, chat in enumerate(chats)]
    found = await store.pull("a", [*asked, ("si_x_y", 1, 9, 9), (chats[0], 5, 5, 1)], limit_bytes=1_000)
    assert [(one.place, one.begin, one.end) for one in found] == [(place, 1, 5) for place in (0, 1, 2, 3, 4, 7)]
    assert [[m.seq for m in one.messages] for one in found] == [
        [2, 3, 4], [2, 3, 4], [2, 3, 4], [3, 4], [4], [5]
    ]  # fmt: skip
    assert found[2].messages == await store.messages_at(chats[2], [2, 3, 4])
    assert await store.pull("a", [], limit_bytes=1_000) == []
    assert await store.pull("b", asked, limit_bytes=1_000) == []
    some = await store.pull("a", asked, limit_bytes=4 * len(b"body 1"))
    assert [one.place for one in some] == [0, 1]


async def test_mark_messages_read(store: Store) -> None:
    sent = [message(A_B, seq, "a" if seq % 2 else "b") for seq in range(1, 11)]
    # In one slice with the messages: writes are applied in order.
    mark = SetReadFlags(A_B, "b", 1, 4, [9, 10, 99])
    assert await commit(store, "conversation/a_b", *sent, mark, message(A_B, 11)) is None
    assert [m.seq for m in await messages_of(store, A_B) if m.is_read] == [1, 3, 9]
    assert await commit(store, "conversation/a_b", SetReadFlags(A_B, "a", 1, 0, [2])) is None
    assert [m.seq for m in await messages_of(store, A_B) if m.is_read] == [1, 2, 3, 9]
    # What comes after a mark is not marked by it, however far it says, and even in the same batch.
    wide = SetReadFlags(A_B, "b", 10, 99, [12, 13])
    assert await commit(store, "conversation/a_b", message(A_B, 12), wide, message(A_B, 13)) is None
    assert [m.seq for m in await messages_of(store, A_B) if m.is_read] == [1, 2, 3, 9, 11, 12]


async def test_read_seq_only_rises(store: Store) -> None:
    assert await store.read_seq(A_B, "b") == 0
    await commit(store, "conversation/a_b", *[message(A_B, seq) for seq in range(1, 6)])
    raises = [Slice("conversation/a_b", store.epoch, [RaiseReadSeq(A_B, "b", seq)]) for seq in (2, 4, 3)]
    assert await store.commit(raises) == [None] * 3
    assert await store.read_seq(A_B, "b") == 4
    await commit(store, "conversation/a_b", RaiseReadSeq(A_B, "b", 1))
    assert await store.read_seq(A_B, "b") == 4


@pytest.mark.parametrize("unread", [3, 200])
async def test_own_messages_raise_the_read_seq(store: Store, unread: int) -> None:
    own = [message(A_B, 1, "b"), message(A_B, 2, "b", client="")]
    others = [message(A_B, seq) for seq in range(3, 3 + unread)]
    await commit(store, "conversation/a_b", *own, *others, record(A_B, ("a", "b"), ("b", "a")))
    assert await store.read_seq(A_B, "b") == 2
    assert await store.read_seq(A_B, "a") == 2 + unread
    newest = 2 + unread
    assert await store.reading(A_B, "b") == Reading(1, "a", "", 2, newest, newest)
    assert await store.reading(A_B, "a") == Reading(1, "b", "", newest, newest, newest)
    assert await store.reading(A_B, "c") is None
    assert await store.reading("si_b_c", "b") is None
    assert (await all_seq_states(store, "b"))[A_B].read_seq == 2
    await commit(store, "conversation/a_b", RaiseReadSeq(A_B, "b", 3))
    assert await store.read_seq(A_B, "b") == 3
    assert await store.reading(A_B, "b") == Reading(1, "a", "", 3, newest, newest)
    for bound, end in ((-1, 0), (4, 4), (1_000, newest)):
        await commit(store, "conversation/a_b", ChangeRecord("b", A_B, {"max_seq": bound}))
        assert await store.reading(A_B, "b") == Reading(1, "a", "", 3, end, newest)


async def test_register_users(store: Store) -> None:
    # Named before they register.
    await commit(store, "conversation/a_b", message(A_B, 1, "late"))
    assert await store.users(["late"]) == []
    assert await commit(store, "user/x", users(*[f"u{i}" for i in range(300)]), users("late")) is None
    for rows in ([user("new"), user("u7")], [user("new"), user("new")]):
        refused = await commit(store, "user/x", AddUsers(rows))
        assert refused is not None
        assert (refused.reason, refused.write) == (Reason.USER_EXISTS, 0)
    assert [u.user_id for u in await store.users(["u9", "no", "late", "u1"])] == ["u9", "late", "u1"]
    total, page = await store.users_page(298, 10)
    assert (total, [u.user_id for u in page]) == (301, ["u298", "u299", "late"])
    assert await store.users_page(400, 10) == (301, [])


async def test_change_of_a_user(store: Store) -> None:
    await commit(store, "user/a", users("a"))
    change = ChangeRow("user", ("a",), {"nickname": "Ann", "global_recv_msg_opt": 2})
    assert await commit(store, "user/a", change) is None
    unknown, nothing = ChangeRow("user", ("x",), {"nickname": "Xen"}), ChangeRow("user", ("a",), {})
    assert await commit(store, "user/x", unknown, nothing) is None
    assert await store.users(["a", "x"]) == [msgspec.structs.replace(user("a", "Ann"), global_recv_msg_opt=2)]


async def test_records_of_ten_thousand_members(store: Store) -> None:
    owners = [RecordOwner(f"u{i}", "") for i in range(10_000)]
    assert await commit(store, "group/g", AddRecords("sg_g", 3, "g", owners)) is None
    assert len(await store.records("u9999")) == 1
    assert (await store.changes("conversations", "u5000", 1)).changed == [("sg_g", 1, 2)]
