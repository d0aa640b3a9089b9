"""The HTTP side over a real socket, with a store and entities that are only what a test puts in them."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpx

from greenroom.actors.messages import CreateGroup, IssuedToken, IssueToken, SendMessage, VerifyToken
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.rules.tokens import Authenticator
from greenroom.actors.runtime.replies import Answer
from greenroom.actors.status import ActorClass, InQuarantine, LaneState, NodeStatus, StoreState
from greenroom.actors.wire import msg_pb2
from greenroom.persistence.settings import AuthSettings, HttpSettings, NodeSettings, OverloadSettings, Settings
from greenroom.persistence.store import (
    Member,
    PairFact,
    Pulled,
    Range,
    SeqState,
    Span,
    Store,
    StoredMessage,
    VersionLog,
)
from greenroom.persistence.tables import GroupRow, MemberRow, RecordRow, UserRow
from greenroom.transport.http.context import Context
from greenroom.transport.http.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.runtime.address import Address

__all__ = ["ADMIN_ID", "LOG_ID", "SECRET", "STATUS", "FakeSession", "FakeStore", "HttpStage", "http_stage"]

SECRET = "openIM123-but-longer-for-hs256-keys"
ADMIN_ID = "imAdmin"
LOG_ID = "65a1b2c3d4e5f60718293a4b"
STATUS = NodeStatus(
    is_healthy=False,
    version="1.2.3",
    started_at=1_700_000_000_000,
    up_s=93_784.0,
    connections=7,
    sends_answered=1234,
    pushes=5678,
    store=StoreState(
        is_failing=True, slices_stored=900, slices_refused=3, slices_failed=2, slices_late=1, reads_damaged=8
    ),
    lanes=[LaneState("lane-0", 4, 5, 6)],
    restarts={"store": 2, "http": 0},
    actors=[
        ActorClass("Conversation", 11, 12, 13, 14, 15, 16, 1),
        ActorClass("User", 21, 22, 23, 24, 25, 26, 0),
    ],
    quarantined=[InQuarantine("conversation:a_b", "Conversation", 9, 3.5)],
)


class FixedClock:
    now = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.now


class FakeSession(NamedTuple):
    connection_id: str
    platform_id: int
    is_background: bool
    token: str


@dataclass
class FakeSessions:
    table: dict[str, list[FakeSession]] = field(default_factory=dict)

    def sessions_of(self, user_id: str) -> list[FakeSession]:
        return self.table.get(user_id, [])

    def online_platforms(self, user_id: str) -> list[int]:
        return sorted({session.platform_id for session in self.sessions_of(user_id)})


def _plain(ids: Sequence[str] | None) -> Sequence[str]:
    """A store may hand ids to whatever takes lists only, so a protobuf container is a caller's fault."""
    assert ids is None or isinstance(ids, list), type(ids)
    return ids or []


@dataclass
class FakeStore:
    """Answers the Store's reads from what a test puts into its fields."""

    known: dict[str, UserRow] = field(default_factory=dict)
    groups_by_id: dict[str, GroupRow] = field(default_factory=dict)
    members_by_group: dict[str, list[MemberRow]] = field(default_factory=dict)
    records_by_owner: dict[str, list[RecordRow]] = field(default_factory=dict)
    states: dict[str, SeqState] = field(default_factory=dict)
    spans_by_id: dict[str, Span] = field(default_factory=dict)
    last: dict[str, StoredMessage] = field(default_factory=dict)
    logs: dict[tuple[str, str], tuple[int, list[tuple[str, int, int]]]] = field(default_factory=dict)
    friends: set[tuple[str, str]] = field(default_factory=set)

    async def users(self, user_ids: Sequence[str]) -> list[UserRow]:
        return [self.known[one] for one in _plain(user_ids) if one in self.known]

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        users = list(self.known.values())
        return len(users), users[offset : offset + limit]

    async def groups(self, group_ids: Sequence[str]) -> list[GroupRow]:
        return [self.groups_by_id[one] for one in _plain(group_ids) if one in self.groups_by_id]

    async def members(self, group_id: str, user_ids: Sequence[str] | None = None) -> list[Member]:
        rows = {row.user_id: row for row in self.members_by_group.get(group_id, [])}
        asked = rows if user_ids is None else _plain(user_ids)
        return [Member(rows[one], self.known.get(one, UserRow(one))) for one in asked if one in rows]

    async def joined_groups(self, user_id: str) -> list[str]:
        return [
            group_id
            for group_id, members in self.members_by_group.items()
            if any(member.user_id == user_id for member in members)
        ]

    async def records(self, owner_id: str, conversation_ids: Sequence[str] | None = None) -> list[RecordRow]:
        records = self.records_by_owner.get(owner_id, [])
        if conversation_ids is None:
            return records
        by_id = {record.conversation_id: record for record in records}
        return [by_id[one] for one in _plain(conversation_ids) if one in by_id]

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str] | None) -> dict[str, SeqState]:
        wanted = self.states if conversation_ids is None else _plain(conversation_ids)
        return {one: self.states[one] for one in wanted if one in self.states}

    async def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        return {one: self.spans_by_id[one] for one in _plain(conversation_ids) if one in self.spans_by_id}

    async def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        return {one: self.last[one] for one in spans if one in self.last}

    async def pull(self, user_id: str, ranges: Sequence[Range], *, limit_bytes: int) -> list[Pulled]:
        spans = await self.spans(user_id, [one[0] for one in ranges])
        pulled: list[Pulled] = []
        for place, (conversation_id, begin, end, _) in enumerate(ranges):
            span, last = spans.get(conversation_id), self.last.get(conversation_id)
            if span and last and begin <= last.seq <= end:
                pulled.append(Pulled(place, span.begin, span.end, [last]))
        return pulled

    async def newest_seqs(self, user_id: str) -> dict[str, int]:
        return {one: state.max_seq for one, state in self.states.items()}

    async def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        return {
            one: PairFact(one in self.known, 0, 0, 0, False, (one, peer) in self.friends)
            for one, peer in ((first, second), (second, first))
        }

    async def changes(self, log: str, owner_id: str, since: int, *, limit: int = 200) -> VersionLog:
        version, entries = self.logs.get((log, owner_id), (1, []))
        changed = [entry for entry in entries if entry[2] > since]
        return VersionLog(version, LOG_ID, changed if len(changed) <= limit else None)


@dataclass
class FakeSystem:
    """Answers every command; `errors` holds what is to be refused, by class or by address."""

    asked: list[tuple[Address, Any]] = field(default_factory=list)
    errors: dict[Any, list[BaseException]] = field(default_factory=dict)

    async def ask(self, target: Address, message: Any, *, timeout_s: float | None = None) -> Any:
        if not isinstance(message, VerifyToken):
            self.asked.append((target, message))
        for key in (type(message), target):
            if self.errors.get(key):
                raise self.errors[key].pop(0)
        value: Any = None
        if isinstance(message, IssueToken):
            value = IssuedToken("a-token", 7_776_000)
        elif isinstance(message, CreateGroup):
            value = message.request.groupInfo
        elif isinstance(message, SendMessage):
            value = msg_pb2.SendMsgResp(
                serverMsgID="s", clientMsgID=message.message.clientMsgID, sendTime=FixedClock.now
            )
        return Answer(None, value)

    @property
    def last(self) -> Any:
        return self.asked[-1][1]


@dataclass
class HttpStage:
    context: Context
    server: HttpServer
    client: httpx.AsyncClient
    store: FakeStore
    system: FakeSystem
    sessions: FakeSessions

    def token(self, user_id: str, platform_id: int = 1) -> str:
        return self.context.auth.make(user_id, platform_id)[0]

    async def post(
        self, path: str, body: Any = None, *, user: str | None = "u1", **headers: str
    ) -> httpx.Response:
        sent = {"operationID": "op-1"} | ({"token": self.token(user)} if user else {}) | headers
        if isinstance(body, bytes):
            return await self.client.post(path, content=body, headers=sent)
        return await self.client.post(path, json={} if body is None else body, headers=sent)

    async def data(self, path: str, body: Any = None, *, user: str | None = "u1") -> Any:
        """The data of a success, KeyError where it has none."""
        envelope = (await self.post(path, body, user=user)).json()
        assert envelope["errCode"] == 0, envelope
        assert (envelope["errMsg"], envelope["errDlt"]) == ("", "")
        return envelope["data"]

    async def error(self, path: str, body: Any = None, *, user: str | None = "u1") -> tuple[int, str]:
        """(code, name) of a refusal, which has no data."""
        envelope = (await self.post(path, body, user=user)).json()
        assert "data" not in envelope
        return envelope["errCode"], envelope["errMsg"]

    def refuse(self, kind: Any, *errors: GreenroomError) -> None:
        self.system.errors[kind] = list(errors)


def _settings(requests_in_flight: int, metrics: bool, patience_s: float) -> Settings:
    node = NodeSettings(
        host="127.0.0.1", ws_port=0, api_port=0, data_dir="", drain_timeout_s=1, log_level="", log_format=""
    )
    auth = AuthSettings(
        secret=SECRET, admin_user_ids=(ADMIN_ID,), token_expire_days=90, multi_login_policy=1,
        max_tokens_per_platform=30,
    )  # fmt: skip
    http = HttpSettings(
        max_connections=100, max_body_bytes=16 * 2**20, bodies_limit_bytes=64 * 2**20,
        requests_in_flight=requests_in_flight, metrics=metrics,
    )  # fmt: skip
    overload = OverloadSettings(answer_within_s=0.2, requests_floor=256, patience_s=patience_s)
    nothing = cast("Any", None)
    return Settings(
        node=node, auth=auth, http=http, overload=overload, websocket=nothing, message=nothing, store=nothing
    )


@asynccontextmanager
async def http_stage(
    *, requests_in_flight: int = 100, metrics: bool = True, patience_s: float = 5.0
) -> AsyncIterator[HttpStage]:
    store, system, sessions, clock = FakeStore(), FakeSystem(), FakeSessions(), FixedClock()
    for user_id, level in (("u1", 0), ("u2", 0), (ADMIN_ID, 2), ("bot", 4)):
        store.known[user_id] = UserRow(user_id, f"n-{user_id}", app_manger_level=level)
    context = Context(
        system=system,
        store=cast("Store", store),
        sessions=sessions,
        auth=Authenticator(secret=SECRET, expire_days=90, clock=clock),
        queries=Queries(cast("Store", store)),
        settings=_settings(requests_in_flight, metrics, patience_s),
        look=lambda: STATUS,
        clock=clock,
        random=random.Random(7),
        secret=SECRET,
    )
    server = HttpServer(context)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            yield HttpStage(context, server, client, store, system, sessions)
    finally:
        await server.stop()
