"""A store against a model of it: any order of messages, repeats, reads, marks, records and reopenings."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from greenroom.persistence.store import (
    ChangeRecord,
    FirstAnswer,
    MarkMessagesRead,
    RaiseReadSeq,
    Reason,
    Slice,
    StoredMessage,
)
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.conftest import BACKENDS
from greenroom.tests.persistence.store_writes import message, record

if TYPE_CHECKING:
    from collections.abc import Coroutine

CHATS = st.sampled_from(["si_a_b", "si_a_c", "si_b_c"])
USERS = st.sampled_from(["a", "b", "c"])
CLIENTS = st.sampled_from(["", "x", "y", "0" * 32, "0" * 31 + "1"])
SEQS = st.integers(0, 6)


class StoreAgainstModel(RuleBasedStateMachine):
    backend: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.store = BACKENDS[self.backend](self.folder)
        self.run(self.store.open())
        self.sent: dict[str, list[Any]] = defaultdict(list)
        self.read: dict[tuple[str, str], int] = defaultdict(int)
        self.marked: dict[str, set[int]] = defaultdict(set)
        self.records: dict[str, dict[str, int]] = defaultdict(dict)
        self.version: dict[str, int] = defaultdict(lambda: 1)
        self.entries: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def commit(self, chat: str, *writes: Any) -> Any:
        (outcome,) = self.run(
            self.store.commit([Slice(f"conversation/{chat[3:]}", self.store.epoch, [*writes])])
        )
        return outcome

    @rule(chat=CHATS, batch=st.lists(st.tuples(USERS, CLIENTS), min_size=1, max_size=5))
    def send(self, chat: str, batch: list[tuple[str, str]]) -> None:
        """Each message a slice; all in one batch."""
        slices, expected = [], []
        for sender, client in batch:
            first = next(
                (m for m in self.sent[chat] if client and (m.send_id, m.client_msg_id) == (sender, client)),
                None,
            )
            one = message(chat, len(self.sent[chat]) + 1, sender, client)
            slices.append(Slice(f"conversation/{chat[3:]}", self.store.epoch, [one]))
            expected.append(first and FirstAnswer(first.seq, first.server_msg_id, first.send_time))
            if first is None:
                self.sent[chat].append(one)
        outcomes = self.run(self.store.commit(slices))
        assert [o and o.first for o in outcomes] == expected

    @rule(chat=CHATS, sender=USERS, seq=SEQS)
    def send_out_of_turn(self, chat: str, sender: str, seq: int) -> None:
        if seq != len(self.sent[chat]) + 1:
            refused = self.commit(chat, message(chat, seq, sender, "z"), RaiseReadSeq(chat, sender, 99))
            assert refused.reason == Reason.FAILED

    @rule(chat=CHATS, user=USERS, seqs=st.lists(SEQS, min_size=1, max_size=3))
    def raise_read_seq(self, chat: str, user: str, seqs: list[int]) -> None:
        assert self.commit(chat, *[RaiseReadSeq(chat, user, seq) for seq in seqs]) is None
        self.read[chat, user] = max(self.read[chat, user], *seqs)

    @rule(chat=CHATS, reader=USERS, begin=SEQS, end=SEQS, seqs=st.lists(SEQS, max_size=2))
    def mark_read(self, chat: str, reader: str, begin: int, end: int, seqs: list[int]) -> None:
        assert self.commit(chat, MarkMessagesRead(chat, reader, begin, end, seqs)) is None
        hit = {*range(begin, end + 1), *seqs}
        self.marked[chat] |= {m.seq for m in self.sent[chat] if m.seq in hit and m.send_id != reader}

    @rule(chat=CHATS, owner=USERS)
    def add_record(self, chat: str, owner: str) -> None:
        assert self.commit(chat, record(chat, (owner, "p"))) is None
        if chat not in self.records[owner]:
            self.records[owner][chat] = 0
            self.changed(owner, chat, 1)

    @rule(chat=CHATS, owner=USERS, max_seq=SEQS)
    def set_record(self, chat: str, owner: str, max_seq: int) -> None:
        assert self.commit(chat, ChangeRecord(owner, chat, {"max_seq": max_seq})) is None
        if chat in self.records[owner]:
            self.records[owner][chat] = max_seq
            self.changed(owner, chat, 3)

    @rule()
    def reopen(self) -> None:
        if self.backend != "memory":
            self.run(self.store.close())
            self.store = BACKENDS[self.backend](self.folder)
            self.run(self.store.open())

    def changed(self, owner: str, chat: str, state: int) -> None:
        self.version[owner] += 1
        self.entries[owner].pop(chat, None)
        self.entries[owner][chat] = (state, self.version[owner])

    @invariant()
    def agrees(self) -> None:
        for chat, sent in self.sent.items():
            stored = self.run(messages_of(self.store, chat))
            assert stored == [StoredMessage(m.seq, m.body, m.seq in self.marked[chat]) for m in sent]
        for user in "abc":
            states = self.run(self.store.seq_states(user, None))
            assert list(self.records[user]) == [r.conversation_id for r in self.run(self.store.records(user))]
            assert states.keys() == self.records[user].keys()
            for chat, cut in self.records[user].items():
                own = max((m.seq for m in self.sent[chat] if m.send_id == user), default=0)
                read = max(self.read[chat, user], own)
                assert states[chat][:2] == (cut or len(self.sent[chat]), read)
            chats = list(self.sent)
            pulled = self.run(self.store.pull(user, [(chat, 1, 99, 2) for chat in chats], limit_bytes=9_999))
            seen = {chat: self.sent[chat][: cut or None][-2:] for chat, cut in self.records[user].items()}
            assert {chats[one.place]: [m.body for m in one.messages] for one in pulled} == {
                chat: [m.body for m in sent] for chat, sent in seen.items() if sent
            }
            log = self.run(self.store.changes("conversations", user, 0))
            assert log.version == self.version[user]
            assert log.changed == [(chat, *entry) for chat, entry in self.entries[user].items()]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.timeout(120)
def test_store_against_model(backend: str) -> None:
    machine = type("Machine", (StoreAgainstModel,), {"backend": backend})
    many = 40 if backend == "memory" else 2
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many, stateful_step_count=25, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
