"""User: owns a user's profile, tokens and sessions, and applies the login policy. No chat message waits for it.

Ordering rule: a token is returned after the commit of its own state and of the state of the tokens that it kicks. A
connection is in the `SessionTable` and in the audiences of its user's groups before its first frame is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.domain_events import UserChanged, UserRegistered, add_event
from greenroom.actors.effects import Deliver, Effect, FactsChanged, Tell
from greenroom.actors.errors import (
    GreenroomError,
    RecordNotFound,
    TokenKicked,
    TokenNotExist,
    TokenUnknown,
    UserExists,
)
from greenroom.actors.items import Change
from greenroom.actors.messages import (
    CloseSession,
    ForceLogout,
    IssuedToken,
    IssueToken,
    KickSession,
    MemberOnline,
    OpenSession,
    ProfileChanged,
    RegisterUsers,
    SetUserInfo,
    VerifyToken,
)
from greenroom.actors.rules.ids import group_address
from greenroom.actors.rules.notifications import USER_INFO_UPDATED, push_to
from greenroom.actors.rules.platforms import kicked_by_login, kicked_by_token
from greenroom.actors.runtime.replies import Answer
from greenroom.actors.stored_entity import StoredEntity
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import LoginPolicy, Platform, TokenState
from greenroom.persistence.store import AddUsers, ChangeRow, DropRows, PutRows, Reason, Refusal
from greenroom.persistence.tables import TokenRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.session_table import SessionView
    from greenroom.actors.world import World
    from greenroom.persistence.tables import UserRow

__all__ = ["User"]

_ADMIN_TOKENS_LIMIT = 30
"""Number of valid admin tokens of one user. The login policy does not apply to them; the oldest are kicked."""


class User(StoredEntity[list[TokenRow]]):
    """Answers RegisterUsers, SetUserInfo, IssueToken, VerifyToken, ForceLogout, OpenSession. Handles CloseSession."""

    KEY_PREFIX = "user/"

    def __init__(self, world: World, user_id: str) -> None:
        super().__init__(world, user_id)
        self._is_registered = False
        """Whether the user is known to be registered. The first command that needs it reads it from the store."""
        self._tokens: dict[bytes, TokenRow] = {}
        """Tokens by digest, oldest first."""

    async def load(self) -> list[TokenRow]:
        return await self.world.store.tokens(self.id)

    def on_loaded(self, state: list[TokenRow]) -> None:
        self._tokens = {token.digest: token for token in state}

    def may_sleep(self) -> bool:
        return super().may_sleep() and not self.world.sessions.is_online(self.id)

    def receiveMsg_RegisterUsers(self, command: RegisterUsers, sender: Address) -> None:
        ids = [user.user_id for user in command.users]
        if len(set(ids)) < len(ids) or (self._is_registered and self.id in ids):
            raise UserExists
        changed = FactsChanged(ids)
        registered = [add_event(UserRegistered(user_id)) for user_id in ids]
        asker = (sender, command.ref)
        self.add_to_draft(Change(AddUsers(command.users), *registered, effects=[changed], askers=[asker]))

    def refusal_error(self, refusal: Refusal) -> GreenroomError:
        return UserExists() if refusal.reason == Reason.USER_EXISTS else super().refusal_error(refusal)

    def receiveMsg_SetUserInfo(self, command: SetUserInfo, sender: Address) -> None:
        """The answer is the number of groups that are notified, or None."""
        self._if_registered(lambda: self._set_info(command, sender), command, sender)

    def _set_info(self, command: SetUserInfo, sender: Address) -> None:
        tips = sdkws_pb2.UserInfoUpdatedTips(userID=self.id)
        caller = command.caller
        push = push_to(
            self.id, self.world, USER_INFO_UPDATED, tips, send_id=caller.user_id, operation_id=caller.operation_id
        )
        told = tuple(dict.fromkeys((self.id, caller.user_id)))
        effects: list[Effect] = [FactsChanged([self.id]), Deliver(push, told)]
        asker = (sender, command.ref)
        change = ChangeRow("user", (self.id,), command.changes)
        event = add_event(UserChanged(self.id, sorted(command.changes)))
        if not {"nickname", "face_url"} & set(command.changes):
            self.add_to_draft(Change(change, event, effects=effects, askers=[asker]))
            return

        def then(group_ids: list[str]) -> None:
            to_groups = Tell(
                map(group_address, group_ids), ProfileChanged(caller=command.caller, user_id=self.id)
            )
            effects.append(to_groups)
            self.add_to_draft(Change(change, event, effects=effects, askers=[asker], value=len(group_ids)))

        self.read(self.world.store.joined_groups(self.id), then, command, sender)

    def receiveMsg_IssueToken(self, command: IssueToken, sender: Address) -> None:
        self._if_registered(lambda: self._issue_token(command, sender), command, sender)

    def _issue_token(self, command: IssueToken, sender: Address) -> None:
        settings, auth = self.world.settings.auth, self.world.auth
        now = self.world.clock.now_ms() // 1000
        dead = [
            token.digest
            for token in self._tokens.values()
            if token.expire_at <= now or token.state != TokenState.NORMAL
        ]
        for digest in dead:
            del self._tokens[digest]
        text, claims = auth.make(self.id, command.platform_id)
        self._tokens.pop(claims.digest, None)
        normal = [(token.platform_id, token.digest) for token in self._tokens.values()]
        if command.platform_id == Platform.ADMIN:
            own = [digest for platform, digest in normal if platform == Platform.ADMIN]
            kicked = own[: max(0, len(own) - _ADMIN_TOKENS_LIMIT + 1)]
        else:
            kicked = kicked_by_token(
                settings.multi_login_policy,
                command.platform_id,
                normal,
                limit=settings.max_tokens_per_platform,
            )
        new = TokenRow(self.id, claims.digest, command.platform_id, TokenState.NORMAL, claims.expire_at)
        rows = [*self._kick_tokens(kicked), new]
        self._tokens[new.digest] = new
        self.add_to_draft(
            Change(
                DropRows("token", [(self.id, digest) for digest in dead]),
                PutRows([*rows]),
                askers=[(sender, command.ref)],
                value=IssuedToken(text, auth.expire_seconds),
            )
        )

    def receiveMsg_VerifyToken(self, command: VerifyToken, sender: Address) -> None:
        self._verify(command.platform_id, command.digest)
        self.send(sender, Answer(command.ref))

    def receiveMsg_ForceLogout(self, command: ForceLogout, sender: Address) -> None:
        platform_id = command.platform_id
        tokens = [token.digest for token in self._tokens.values() if token.platform_id == platform_id]
        sessions = self.world.sessions.sessions_of(self.id)
        addresses = [session.address for session in sessions if session.platform_id == platform_id]
        self.add_to_draft(
            Change(
                PutRows([*self._kick_tokens(tokens)]),
                effects=[Tell(addresses, KickSession())],
                askers=[(sender, command.ref)],
            )
        )

    def receiveMsg_OpenSession(self, command: OpenSession, sender: Address) -> None:
        platform_id = command.caller.platform_id
        self._verify(platform_id, command.digest)
        self._apply_policy(platform_id, command.digest)
        self.world.sessions.open(self.id, command.connection)

        def then(group_ids: list[str]) -> None:
            for group_id in group_ids:
                self.runtime.tell_awake(group_address(group_id), MemberOnline(self.id))
            self.send(sender, Answer(command.ref))

        if self.runtime.any_awake("group"):
            self.read(self.world.store.joined_groups(self.id), then, command, sender)
        else:
            then([])

    def _apply_policy(self, platform_id: int, digest: bytes) -> None:
        """Kick the sessions that a new session replaces, and their tokens. Some policies also kick the other tokens of
        the platform (PROTOCOL 1.8)."""
        policy = self.world.settings.auth.multi_login_policy
        sessions = self.world.sessions.sessions_of(self.id)
        if not sessions:
            return
        others = [(session.platform_id, session) for session in sessions if session.digest != digest]
        kicked = kicked_by_login(policy, platform_id, others)
        digests = dict.fromkeys(session.digest for session in kicked)
        is_taken = any(session.platform_id == platform_id for session in sessions)
        replaces = policy == LoginPolicy.ONE_PER_PLATFORM and is_taken
        if replaces or (policy == LoginPolicy.PC_AND_OTHER and kicked):
            tokens = self._tokens.values()
            digests |= dict.fromkeys(token.digest for token in tokens if token.platform_id == platform_id)
        rows = self._kick_tokens(each for each in digests if each != digest)
        kicked += self._kicked_by_number([session for session in sessions if session not in kicked], digest)
        if rows or kicked:
            writes = [PutRows([*rows])] if rows else []
            self.add_to_draft(Change(*writes, effects=[Tell([session.address for session in kicked], KickSession())]))

    def _kicked_by_number(self, sessions: list[SessionView], digest: bytes) -> list[SessionView]:
        """The oldest connections beyond the number that a token and a user may have, including a new one with this
        token. They get no more pushes, even if their clients never close them. Their tokens stay valid."""
        settings = self.world.settings.websocket
        own = [session for session in sessions if session.digest == digest]
        kicked = own[: max(0, len(own) + 1 - settings.connections_per_token)]
        remaining = [session for session in sessions if session not in kicked]
        kicked += remaining[: max(0, len(remaining) + 1 - settings.connections_per_user)]
        for session in kicked:
            self.world.sessions.close(self.id, session.address)
        return kicked

    def receiveMsg_CloseSession(self, message: CloseSession, sender: Address) -> None:
        self.world.sessions.close(self.id, message.connection)

    def _if_registered(self, go_on: Callable[[], None], command: Any, sender: Address) -> None:
        """Call `go_on` if the user is registered, which is read from the store unless it is known. Otherwise raise
        RecordNotFound."""
        if self._is_registered:
            go_on()
            return

        def then(users: list[UserRow]) -> None:
            if not users:
                raise RecordNotFound("no such user")
            self._is_registered = True
            go_on()

        self.read(self.world.store.users([self.id]), then, command, sender)

    def _verify(self, platform_id: int, digest: bytes) -> None:
        token = self._tokens.get(digest)
        if token is None or token.platform_id != platform_id:
            raise TokenNotExist
        if token.state == TokenState.KICKED:
            raise TokenKicked
        if token.state != TokenState.NORMAL:
            raise TokenUnknown

    def _kick_tokens(self, digests: Iterable[bytes]) -> list[TokenRow]:
        """Mark these tokens as kicked, and return the changed rows to store."""
        rows = []
        for digest in digests:
            token = self._tokens.get(digest)
            if token is not None and token.state == TokenState.NORMAL:
                row = self._tokens[digest] = msgspec.structs.replace(token, state=TokenState.KICKED)
                rows.append(row)
        return rows
