"""Conformance: committed events and the cursors of those who read them, over every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.store import (
    BEGINNING,
    AddEvent,
    AddSubscriber,
    ChangeRow,
    Cursor,
    DropSubscriber,
    Event,
    MessageEvent,
    MoveCursor,
    NotedEvent,
    Reason,
    Slice,
)
from greenroom.tests.persistence.conftest import BACKENDS
from greenroom.tests.persistence.store_writes import commit, message, pair, refused, users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from greenroom.persistence.store import AddMessage, Store

A_B = "si_a_b"
PUSH = "subscriber/push"


def said(one: AddMessage) -> MessageEvent:
    return MessageEvent(**{name: getattr(one, name) for name in MessageEvent.__struct_fields__})


async def all_after(store: Store, cursor: Cursor, limit: int = 3) -> list[Event]:
    """Read on until there is nothing more."""
    events: list[Event] = []
    while True:
        tail = await store.tail(cursor, limit)
        if not tail.events:
            return events
        assert not tail.missed
        events += tail.events
        cursor = tail.cursor


@pytest.fixture(params=BACKENDS)
async def narrow(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store that keeps three events."""
    opened = BACKENDS[request.param](tmp_path, 3)
    await opened.open()
    yield opened
    await opened.close()


async def test_messages_are_events_in_the_order_of_their_commits(store: Store) -> None:
    sent = [message(A_B, 1), message("si_a_c", 1, "c", client=""), message(A_B, 2, "b"), message("n_a_b", 1)]
    slices = [Slice("conversation/a_b", store.epoch, [pair(), one]) for one in sent]
    assert await store.commit(slices[:2]) == [None] * 2
    assert await store.commit(slices[2:]) == [None] * 2
    assert await all_after(store, BEGINNING) == [said(one) for one in sent]
    tail = await store.tail(BEGINNING, 3)
    assert tail.events == [said(one) for one in sent[:3]]
    assert await store.tail(tail.cursor, 3) == ([said(sent[3])], (await store.tail(BEGINNING, 9)).cursor, False)


async def test_what_is_noted_stands_among_the_messages(store: Store) -> None:
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    note = AddEvent("group-dismissed", "g", b"{}")
    first, second, third = message(A_B, 1), message(A_B, 2), message(A_B, 3)
    assert await commit(store, "conversation/a_b", first, note, second, note) is None
    assert await commit(store, "conversation/a_b", third) is None
    noted = NotedEvent("group-dismissed", "g", b"{}")
    expected = [said(first), noted, said(second), noted, said(third)]
    for limit in (1, 2, 5, 99):
        assert await all_after(store, BEGINNING, limit) == expected
    assert await all_after(store, (await store.subscribers())["push"]) == expected


async def test_without_a_subscriber_nothing_is_noted(store: Store) -> None:
    assert await commit(store, "user/a", users("a"), AddEvent("registered", "a", b"")) is None
    assert await store.subscribers() == {}
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    assert await commit(store, "user/a", AddEvent("renamed", "a", b"")) is None
    assert await all_after(store, BEGINNING) == [NotedEvent("renamed", "a", b"")]


async def test_a_refused_slice_says_nothing(store: Store) -> None:
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    writes = message(A_B, 1), AddEvent("k", "s", b""), AddSubscriber("other"), message(A_B, 9)
    assert await refused(store, "conversation/a_b", *writes) == Reason.FAILED
    assert await all_after(store, BEGINNING) == []
    assert list(await store.subscribers()) == ["push"]
    assert await commit(store, "conversation/a_b", message(A_B, 1)) is None
    assert await all_after(store, BEGINNING) == [said(message(A_B, 1))]


async def test_where_a_subscriber_begins(store: Store) -> None:
    early, late = message(A_B, 1), message(A_B, 2)
    assert await commit(store, "conversation/a_b", early) is None
    assert await commit(store, PUSH, AddSubscriber("push"), AddSubscriber("archive", from_first_message=True)) is None
    assert await commit(store, "conversation/a_b", late) is None
    cursors = await store.subscribers()
    assert await all_after(store, cursors["push"]) == [said(late)]
    assert await all_after(store, cursors["archive"]) == [said(early), said(late)]
    # Whoever is there already goes on where they are.
    assert await commit(store, PUSH, AddSubscriber("push", from_first_message=True), AddSubscriber("archive")) is None
    assert await store.subscribers() == cursors


async def test_a_subscriber_amid_a_slice(store: Store) -> None:
    first, second = message(A_B, 1), message(A_B, 2)
    assert await commit(store, "conversation/a_b", first, AddSubscriber("push"), second) is None
    assert await all_after(store, (await store.subscribers())["push"]) == [said(second)]


async def test_a_note_is_kept_until_all_have_passed_it(store: Store) -> None:
    assert await commit(store, PUSH, AddSubscriber("push"), AddSubscriber("search")) is None
    for number in range(4):
        assert await commit(store, "user/a", AddEvent(f"{number}", "a", b"")) is None
    notes = [NotedEvent(f"{number}", "a", b"") for number in range(4)]
    two = (await store.tail((await store.subscribers())["push"], 2)).cursor
    four = (await store.tail(two, 2)).cursor
    assert await commit(store, PUSH, MoveCursor("push", four)) is None
    assert await all_after(store, BEGINNING) == notes
    assert await commit(store, PUSH, MoveCursor("search", two)) is None
    assert await all_after(store, BEGINNING) == notes[2:]
    assert await all_after(store, (await store.subscribers())["search"]) == notes[2:]
    assert await commit(store, PUSH, DropSubscriber("search")) is None
    assert await all_after(store, BEGINNING) == []
    assert await commit(store, PUSH, DropSubscriber("push"), DropSubscriber("nobody")) is None
    assert await store.subscribers() == {}


async def test_what_comes_after_everything_was_passed(store: Store) -> None:
    """However often all that was noted is dropped, the next event is found, once."""
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    cursor = (await store.subscribers())["push"]
    for number in range(5):
        writes = [AddEvent(f"{number}", "a", b"")] * 2
        assert await commit(store, "user/a", *writes) is None
        tail = await store.tail(cursor, 99)
        assert tail.events == [NotedEvent(f"{number}", "a", b"")] * 2
        assert not tail.missed
        assert (await store.tail(tail.cursor, 99)).events == []
        cursor = tail.cursor
        assert await commit(store, PUSH, MoveCursor("push", cursor)) is None
        assert await all_after(store, BEGINNING) == []


async def test_cursors_that_cannot_be(store: Store) -> None:
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    before = await store.subscribers()
    assert await commit(store, "conversation/a_b", message(A_B, 1), AddEvent("k", "s", b"")) is None
    end = (await store.tail(BEGINNING, 9)).cursor
    assert await refused(store, PUSH, MoveCursor("nobody", end)) == Reason.FAILED
    for cursor in ("x", "-1", "1.x", "99", "99.0", "0.99", "1.1.1"):
        assert await refused(store, PUSH, MoveCursor("push", Cursor(cursor))) == Reason.FAILED
    assert await store.subscribers() == before
    with pytest.raises(ValueError):  # noqa: PT011 (each backend has words of its own)
        await store.tail(Cursor("no cursor"), 9)
    assert await commit(store, PUSH, MoveCursor("push", end)) is None
    # One that lies behind is ignored.
    for cursor in (before["push"], BEGINNING):
        assert await commit(store, PUSH, MoveCursor("push", cursor)) is None
    assert (await store.tail((await store.subscribers())["push"], 9)).events == []


async def test_a_subscriber_that_is_too_far_behind(narrow: Store) -> None:
    assert await commit(narrow, PUSH, AddSubscriber("push")) is None
    start = (await narrow.subscribers())["push"]
    notes = [AddEvent(f"{number}", "a", b"") for number in range(5)]
    assert await commit(narrow, "user/a", message(A_B, 1), *notes[:3]) is None
    assert not (await narrow.tail(start, 9)).missed
    assert await commit(narrow, "user/a", *notes[3:]) is None
    kept = [NotedEvent(f"{number}", "a", b"") for number in (2, 3, 4)]
    tail = await narrow.tail(start, 9)
    assert (tail.events, tail.missed) == ([said(message(A_B, 1)), *kept], True)
    # Once told, it goes on as any other; who begins has missed nothing.
    assert not (await narrow.tail(tail.cursor, 9)).missed
    assert not (await narrow.tail(BEGINNING, 9)).missed
    assert await commit(narrow, PUSH, AddSubscriber("late", from_first_message=True)) is None
    assert not (await narrow.tail((await narrow.subscribers())["late"], 9)).missed


async def test_the_bound_is_not_reached_by_what_was_passed(narrow: Store) -> None:
    assert await commit(narrow, PUSH, AddSubscriber("push")) is None
    for number in range(9):
        assert await commit(narrow, "user/a", AddEvent(f"{number}", "a", b"")) is None
        tail = await narrow.tail((await narrow.subscribers())["push"], 9)
        assert (tail.events, tail.missed) == ([NotedEvent(f"{number}", "a", b"")], False)
        assert await commit(narrow, PUSH, MoveCursor("push", tail.cursor)) is None


async def test_cursors_and_notes_outlive_the_opening(opening: Callable[[], Store]) -> None:
    first = opening()
    await first.open()
    assert await commit(first, PUSH, AddSubscriber("push")) is None
    assert await commit(first, "conversation/a_b", message(A_B, 1), AddEvent("k", "s", b"d")) is None
    one = (await first.tail((await first.subscribers())["push"], 1)).cursor
    assert await commit(first, PUSH, MoveCursor("push", one)) is None
    await first.close()
    second = opening()
    await second.open()
    assert await second.subscribers() == {"push": one}
    assert await second.tail(one, 9) == ([NotedEvent("k", "s", b"d")], (await second.tail(one, 9)).cursor, False)
    end = (await second.tail(one, 9)).cursor
    assert await commit(second, PUSH, MoveCursor("push", end)) is None
    await second.close()
    third = opening()
    await third.open()
    # All that was noted is gone, and its numbers are not used again.
    assert await commit(third, "user/a", AddEvent("next", "s", b""), message(A_B, 2)) is None
    assert await all_after(third, end) == [NotedEvent("next", "s", b""), said(message(A_B, 2))]
    await third.close()


async def test_a_tail_of_long_messages_is_cut(store: Store) -> None:
    """What one read takes is bounded; reading on finds the rest."""
    sent = [message(A_B, seq, size=3 << 20) for seq in (1, 2, 3, 4)]
    for one in sent:
        assert await commit(store, "conversation/a_b", one) is None
    assert await all_after(store, BEGINNING, 99) == [said(one) for one in sent]


async def test_who_reads_sees_the_row_that_an_event_is_about(store: Store) -> None:
    assert await commit(store, PUSH, AddSubscriber("push")) is None
    change = ChangeRow("user", ("a",), {"nickname": "Ann"})
    assert await commit(store, "user/a", users("a"), AddEvent("renamed", "a", b"Ann"), change) is None
    assert (await all_after(store, BEGINNING))[-1] == NotedEvent("renamed", "a", b"Ann")
    assert (await store.users(["a"]))[0].nickname == "Ann"
