"""Every backend against the store of dicts: any slices in any order give the same outcomes and the same answers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from greenroom.persistence.store import (
    BEGINNING,
    AddEvent,
    AddRecords,
    AddSubscriber,
    AddUsers,
    BumpVersion,
    ChangeRecord,
    ChangeRow,
    ClaimKey,
    Cursor,
    DropRows,
    DropSubscriber,
    MoveCursor,
    PutRows,
    RaiseReadSeq,
    RecordOwner,
    SetReadFlags,
    Slice,
)
from greenroom.persistence.tables import BlackRow, FriendRow, GroupRow, MemberRow, RecordRow, TokenRow, UserRow
from greenroom.tests.kit.dict_store import DictStore
from greenroom.tests.persistence.conftest import BACKENDS
from greenroom.tests.persistence.store_writes import message

if TYPE_CHECKING:
    from greenroom.persistence.store import AnyWrite, Refusal, Store

EVENTS_LIMIT = 4

CHAT_NAMES = ["si_a_b", "si_a_c", "sg_g", "n_a_b", "n_a_a", "n_g"]
KEYS = st.sampled_from(["conversation/a_b", "conversation/a_a", "group/g", "group/a_b", "user/a"])
CHATS = st.sampled_from(CHAT_NAMES)
USERS = st.sampled_from("abc")
GROUPS = st.sampled_from("gh")
SUBSCRIBERS = st.sampled_from(["push", "search"])
SEQS = st.integers(-1, 6)
SMALL = st.integers(0, 2)
TEXTS = st.sampled_from(["", "x", "y"])
CLIENTS = st.sampled_from(["", "x", "y", "0" * 32, "0" * 31 + "1"])


class Say(NamedTuple):
    """A message; its seq is the next one, give or take a little."""

    chat: str
    sender: str
    client: str
    drift: int


class Pass(NamedTuple):
    """A subscriber moves to one of the cursors that were given out, each store to its own."""

    name: str
    place: int


def _rows(kind: Any, *columns: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.builds(kind, *columns), max_size=3)


_says = st.builds(Say, CHATS, USERS, CLIENTS, st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1]))
_puts = st.builds(
    PutRows,
    st.one_of(
        _rows(TokenRow, USERS, st.sampled_from([b"1" * 16, b"2" * 16]), SMALL, SMALL, SMALL),
        _rows(GroupRow, GROUPS, TEXTS),
        _rows(MemberRow, GROUPS, USERS, TEXTS, st.just(""), SMALL),
        _rows(FriendRow, USERS, USERS),
        _rows(BlackRow, USERS, USERS),
    ),
)
_changes = st.one_of(
    st.builds(
        ChangeRow, st.just("user"), st.tuples(USERS),
        st.dictionaries(st.sampled_from(["nickname", "ex", "user_id", "registered"]), TEXTS, max_size=2),
    ),
    st.builds(
        ChangeRow, st.just("member"), st.tuples(GROUPS, USERS),
        st.dictionaries(st.sampled_from(["nickname", "role_level"]), st.one_of(TEXTS, SMALL), max_size=2),
    ),
    st.builds(
        ChangeRecord, USERS, CHATS,
        st.dictionaries(st.sampled_from(["min_seq", "max_seq", "notification_max_seq", "is_pinned"]),
                        st.one_of(SEQS, st.booleans()), max_size=2),
    ),
)  # fmt: skip
_drops = st.one_of(
    st.builds(DropRows, st.just("member"), st.lists(st.tuples(GROUPS, USERS), max_size=2)),
    st.builds(DropRows, st.just("token"), st.lists(st.tuples(USERS, st.just(b"1" * 16)), max_size=2)),
    st.builds(DropRows, st.sampled_from(["friend", "black"]), st.lists(st.tuples(USERS, USERS), max_size=2)),
)
_rules = st.one_of(
    st.builds(ClaimKey, st.just("pair"), st.sampled_from([("a", "b"), ("a", "a")])),
    st.builds(ClaimKey, st.just("group"), st.just(())),
    st.builds(AddUsers, st.lists(st.builds(UserRow, USERS, TEXTS), max_size=2)),
    st.builds(AddRecords, CHATS, SMALL, TEXTS, st.lists(st.builds(RecordOwner, USERS, USERS), max_size=3)),
    st.builds(RaiseReadSeq, CHATS, USERS, SEQS),
    st.builds(SetReadFlags, CHATS, USERS, SEQS, SEQS, st.lists(SEQS, max_size=2)),
    st.builds(
        BumpVersion, st.sampled_from(["friends", "joined", "conversations"]), USERS,
        st.lists(st.tuples(TEXTS, SMALL), max_size=2),
    ),
    st.builds(BumpVersion, st.just("members"), GROUPS, st.lists(st.tuples(USERS, SMALL), max_size=2)),
)  # fmt: skip
_events = st.one_of(
    st.builds(AddEvent, TEXTS, USERS, st.binary(max_size=3)),
    st.builds(AddEvent, TEXTS, USERS, st.binary(max_size=3)),
    st.builds(AddSubscriber, SUBSCRIBERS, st.booleans()),
    st.builds(Pass, SUBSCRIBERS, st.integers(0, 30)),
    st.builds(DropSubscriber, SUBSCRIBERS),
)
WRITES = st.lists(st.one_of(_says, _says, _says, _puts, _changes, _drops, _rules, _events, _events), max_size=4)


class StoreAgainstDicts(RuleBasedStateMachine):
    backend: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.store: Store
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.store = BACKENDS[self.backend](self.folder, EVENTS_LIMIT)
        self.model = DictStore(events_limit=EVENTS_LIMIT)
        self.cursors: list[tuple[Cursor, Cursor]] = [(BEGINNING, BEGINNING)]
        """Given out, of the store and of the model."""
        self.ask("open")

    def ask(self, method: str, *asked: Any, **options: Any) -> tuple[Any, Any]:
        """What the store and its model say."""
        return self.ask_each(method, asked, asked, **options)

    def ask_each(self, method: str, mine: Any, models: Any, **options: Any) -> tuple[Any, Any]:
        run = self.loop.run_until_complete
        found = run(getattr(self.store, method)(*mine, **options))
        return found, run(getattr(self.model, method)(*models, **options))

    def agree(self, read: str, *asked: Any, **options: Any) -> None:
        found, expected = self.ask(read, *asked, **options)
        assert found == expected

    def teardown(self) -> None:
        self.ask("close")
        self.loop.close()
        shutil.rmtree(self.folder)

    @initialize()
    def name_everybody(self) -> None:
        """Those whom nobody has named yet have nothing at all; that is another test's."""
        pairs = [("a", "b"), ("c", "a")]
        writes: list[AnyWrite] = [PutRows([FriendRow(*one) for one in pairs]), DropRows("friend", [*pairs])]
        claims = {"conversation/a_b": ClaimKey("pair", ("a", "b")), "group/a_b": ClaimKey("group", ())}
        slices = [Slice("user/a", self.store.epoch, writes)]
        slices += [Slice(key, self.store.epoch, [claim]) for key, claim in claims.items()]
        assert self.ask("commit", slices) == ([None] * 3, [None] * 3)

    @rule(batch=st.lists(st.tuples(KEYS, WRITES), min_size=1, max_size=3))
    def commit(self, batch: list[tuple[str, list[Any]]]) -> None:
        said: dict[str, int] = {}

        def write_of(drawn: Any, which: int) -> AnyWrite:
            if isinstance(drawn, Pass):
                return MoveCursor(drawn.name, self.cursors[drawn.place % len(self.cursors)][which])
            return drawn  # type: ignore[no-any-return]

        def sealed(drawn: Any) -> Any:
            if not isinstance(drawn, Say):
                return drawn
            said[drawn.chat] = said.get(drawn.chat, len(self.model.data.messages[drawn.chat])) + 1
            return message(drawn.chat, said[drawn.chat] + drawn.drift, drawn.sender, drawn.client)

        batch = [(key, [sealed(drawn) for drawn in writes]) for key, writes in batch]
        mine, models = (
            [Slice(key, self.store.epoch, [write_of(drawn, which) for drawn in writes]) for key, writes in batch]
            for which in (0, 1)
        )
        found, expected = self.ask_each("commit", [mine], [models])
        assert _outcomes(found) == _outcomes(expected)

    @rule(place=st.integers(0, 30), limit=st.integers(1, 5))
    def read_on(self, place: int, limit: int) -> None:
        cursors = self.tail(self.cursors[place % len(self.cursors)], limit)
        self.cursors.append(cursors)

    def tail(self, after: tuple[Cursor, Cursor], limit: int) -> tuple[Cursor, Cursor]:
        found, expected = self.ask_each("tail", (after[0], limit), (after[1], limit))
        assert (found.events, found.missed) == (expected.events, expected.missed)
        return found.cursor, expected.cursor

    @rule()
    def reopen(self) -> None:
        if self.backend != "sqlite-memory":
            self.ask("close")
            self.store = BACKENDS[self.backend](self.folder, EVENTS_LIMIT)
            self.ask("open")

    @invariant()
    def answers_agree(self) -> None:
        users, groups = list("abcx"), list("ghx")
        for chat in CHAT_NAMES:
            self.agree("messages_at", chat, [2, 1, 3, 99, *range(3, 12)])
        self.agree("last_messages", dict.fromkeys(CHAT_NAMES, 2))
        self.agree("users", users)
        self.agree("users_page", 1, 1)
        self.agree("groups", groups)
        for key in ("a_b", "a_a", "g"):
            self.agree("key", "pair", key)
            self.agree("key", "group", key)
        for group in groups:
            self.agree("members", group)
            self.agree("members", group, ["c", "a"])
            self.agree("members_page", group, 1, 2)
            self.member_ids_agree(group)
            self.logs_agree("members", group)
        for user in users:
            self.answers_agree_for(user)
        found, expected = self.ask("subscribers")
        assert found.keys() == expected.keys()
        for name in found:
            self.tail((found[name], expected[name]), 99)

    def answers_agree_for(self, user: str) -> None:
        for read in ("tokens", "joined_groups"):
            self.agree(read, user)
        self.records_agree(user)
        self.agree("newest_seqs", user, None, 99)
        self.agree("all_seq_states", user, None, 99)
        self.agree("seq_states", user, CHAT_NAMES)
        self.agree("notification_states", user, CHAT_NAMES)
        self.agree("records", user, CHAT_NAMES[::-1])
        self.agree("spans", user, CHAT_NAMES)
        self.agree("pair_facts", user, "a")
        self.agree("pull", user, [(chat, 1, 99, 2) for chat in CHAT_NAMES], limit_bytes=9_999)
        self.agree("pull", user, [(chat, 0, 3, 9) for chat in CHAT_NAMES], limit_bytes=20)
        for chat in CHAT_NAMES[:3]:
            self.agree("reading", chat, user)
            self.agree("read_seq", chat, user)
        for log in ("friends", "joined", "conversations"):
            self.logs_agree(log, user)

    def records_agree(self, user: str) -> None:
        """Their order is each store's own, but it is the same in every read."""
        found, expected = self.ask("records", user)
        assert sorted(found, key=_id_of) == sorted(expected, key=_id_of)
        pages, _ = self.ask("records_page", user, 1, 2)
        assert pages == (len(found), found[1:3])
        ids, _ = self.ask("record_ids", user, None, 99, is_pinned=True)
        assert ids == ([row.conversation_id for row in found if row.is_pinned], None)
        listed: list[str] = []
        states: dict[str, Any] = {}
        seqs: dict[str, int] = {}
        place = None
        while True:
            (some_states, _), _ = self.ask_each("all_seq_states", (user, place, 2), (user, None, 2))
            (some_seqs, _), _ = self.ask_each("newest_seqs", (user, place, 2), (user, None, 2))
            (ids, place), _ = self.ask_each("record_ids", (user, place, 2), (user, None, 2))
            assert set(some_states) == set(ids)
            listed += ids
            states |= some_states
            seqs |= some_seqs
            if place is None:
                break
        assert listed == [row.conversation_id for row in found]
        assert (states, None) == self.ask("all_seq_states", user, None, 99)[0]
        assert (seqs, None) == self.ask("newest_seqs", user, None, 99)[0]

    def member_ids_agree(self, group: str) -> None:
        places: tuple[Any, Any] = (None, None)
        while True:
            (mine, my_place), (models, models_place) = self.ask_each(
                "member_ids", (group, places[0], 2), (group, places[1], 2)
            )
            assert (mine, my_place is None) == (models, models_place is None)
            if my_place is None:
                return
            places = my_place, models_place

    def logs_agree(self, log: str, owner: str) -> None:
        found, expected = self.ask("changes", log, owner, 1, limit=4)
        assert found.version == expected.version
        assert _sorted(found.changed) == _sorted(expected.changed)


def _id_of(row: RecordRow) -> str:
    return row.conversation_id


def _outcomes(outcomes: list[Refusal | None]) -> list[object]:
    return [one and (one.reason, one.write, one.first) for one in outcomes]


def _sorted(changed: list[tuple[str, int, int]] | None) -> list[tuple[str, int, int]] | None:
    """Entries of one version have no order."""
    return None if changed is None else sorted(changed, key=lambda entry: (entry[2], entry[0]))


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "dicts"])
@pytest.mark.timeout(180)
def test_store_against_dicts(backend: str) -> None:
    machine = type("Machine", (StoreAgainstDicts,), {"backend": backend})
    many = 40 if backend == "sqlite-memory" else 3
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many, stateful_step_count=25, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
