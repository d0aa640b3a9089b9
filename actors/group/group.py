"""Group: the Conversation of a group's key, with members and roles. Membership changes and messages have one order.

It keeps two views of the membership. `roster` is the decided one: it says who may send. `listeners` is the committed
one: it says who gets pushes, and effects change it, in the order of the pushes. So a kicked member gets all pushes up
to the kick.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from greenroom.actors import render
from greenroom.actors.audience import Audience
from greenroom.actors.conversation import Conversation
from greenroom.actors.errors import GroupExists, MutedGroup, MutedInGroup, NoPermission, NotInGroup
from greenroom.actors.group import membership, muting
from greenroom.actors.group.operation import SLICE_MEMBERS, Bounds, Operation
from greenroom.actors.group.roster import Member, People, Roster
from greenroom.actors.messages import Command, DropMembers, ProfileChanged
from greenroom.actors.rules import message as rules
from greenroom.actors.rules.ids import chat_id
from greenroom.actors.rules.limits import LIST_LIMIT
from greenroom.actors.wire.vocabulary import AppLevel, GroupStatus, Role, SessionType
from greenroom.persistence.store import AddRecords, RecordOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from greenroom.actors.effects import Asker
    from greenroom.actors.items import Item
    from greenroom.actors.messages import (
        CancelMuteGroup,
        CancelMuteMember,
        CreateGroup,
        DismissGroup,
        InviteMembers,
        KickMembers,
        MemberOnline,
        MuteGroup,
        MuteMember,
        Push,
        QuitGroup,
        SendMessage,
    )
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.actors.world import World
    from greenroom.persistence.store import AnyWrite, KeyState, MemberPlace, VersionLog
    from greenroom.persistence.tables import GroupRow, UserRow

__all__ = ["Group", "GroupState"]

_NEWER_THAN_ALL = 2**62

GroupCommandT = TypeVar("GroupCommandT", bound=Command | ProfileChanged)


class GroupState(NamedTuple):
    """What is stored of a group."""

    key: KeyState | None
    info: GroupRow | None
    members: dict[str, Member]
    online: list[str]
    """Members who were online while this was read."""
    log: VersionLog


class Group(Conversation[GroupState]):
    """Answers the same commands as Conversation, and the membership commands of `messages`."""

    KIND = "group"
    KEY_PREFIX = "group/"

    def __init__(self, world: World, group_id: str) -> None:
        super().__init__(world, group_id)
        self.roster = Roster(group_id)
        self.listeners: set[str] = set()
        self.audience = Audience()
        """Listeners who were online at the last push to them."""

    async def load(self) -> GroupState:
        store = self.world.store
        key = await self.load_key()
        log = await store.changes("members", self.id, _NEWER_THAN_ALL)
        if key is None:
            return GroupState(None, None, {}, [], log)
        infos = await store.groups([self.id])
        return GroupState(key, infos[0] if infos else None, *await self._stored_members(), log)

    async def _stored_members(self) -> tuple[dict[str, Member], list[str]]:
        """All members by id, and those who are online, read in slices, between which other tasks run. Nobody else
        changes them meanwhile. A member who comes online meanwhile causes a MemberOnline, which is handled later."""
        store, found, online = self.world.store, dict[str, Member](), list[str]()
        place: MemberPlace | None = None
        while True:
            ids, place = await store.member_ids(self.id, place, SLICE_MEMBERS)
            members = await store.members(self.id, ids)
            found.update((member.row.user_id, render.member_info(member)) for member in members)
            online += filter(self.world.sessions.is_online, ids)
            if place is None:
                return found, online
            await asyncio.sleep(0)

    def on_loaded(self, state: GroupState) -> None:
        key, info, members, online, log = state
        self.on_key_loaded(key)
        self.roster.info = render.group_info(info) if info is not None else None
        self.roster.version, self.roster.version_id = log.version, log.version_id
        if info is not None and info.status == GroupStatus.DISMISSED:
            if members:  # A former incarnation has not yet dropped all of them.
                self.send(self.myAddress, DropMembers())
            return
        self.roster.members = members
        self.listeners = set(members)
        for user_id in online:
            self.audience.add(user_id)

    def join(self, user_ids: Iterable[str]) -> None:
        online = self.world.sessions.is_online
        for user_id in user_ids:
            self.listeners.add(user_id)
            if online(user_id):
                self.audience.add(user_id)

    def leave(self, user_ids: Iterable[str]) -> None:
        self.listeners.difference_update(user_ids)
        self.audience.discard(user_ids)

    def receiveMsg_MemberOnline(self, message: MemberOnline, sender: Address) -> None:
        if message.user_id in self.listeners:
            self.audience.add(message.user_id)

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        if user_ids is not None:
            super().deliver(push, user_ids, also)
            return
        self.world.sessions.broadcast(push, self.audience)
        others = tuple(user_id for user_id in also if user_id not in self.audience.users)
        if others:
            super().deliver(push, others, ())

    def sees_all(self, user_id: str) -> bool:
        return user_id in self.roster.members

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        return ()

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        owners = [RecordOwner(user_id, "") for user_id in self.roster.members]
        return AddRecords(conversation_id, SessionType.GROUP, self.id, owners)

    def seal(self, item: Item, seqs: dict[str, int]) -> Iterable[AnyWrite]:
        if not isinstance(item, Bounds):
            return super().seal(item, seqs)
        return item.writes_at(
            self.id,
            self.last_seq(chat_id(SessionType.GROUP, self.id), seqs),
            self.last_seq(self.log.twin, seqs),
            history=self.world.settings.message.history_for_new_members,
        )

    def admit(self, command: SendMessage, sender: Address) -> None:
        message = command.message
        if command.caller.is_admin or not rules.is_notification_type(message.contentType):
            self._admit(command, sender)
            return

        def then(users: list[UserRow]) -> None:
            if not users or users[0].app_manger_level < AppLevel.ADMIN:
                raise NoPermission("only admins may send notifications")
            self._admit(command, sender)

        self.read(self.world.store.users([message.sendID]), then, command, sender)

    def _admit(self, command: SendMessage, sender: Address) -> None:
        message = command.message
        info = self.roster.existing()
        rules.force_options(message)
        if not self.world.is_admin(message.sendID):
            member = self.roster.members.get(message.sendID)
            if member is None:
                # OpenIM first checks whether the caller may read the members, which an admin always may.
                raise NotInGroup if command.caller.is_admin else NoPermission("the sender is not a member")
            if member.roleLevel != Role.OWNER:
                if member.muteEndTime >= self.world.clock.now_ms():
                    raise MutedInGroup
                if info.status == GroupStatus.MUTED and member.roleLevel != Role.ADMIN:
                    raise MutedGroup
        self.accept(command, sender, None)

    def _operate(
        self,
        decide: Callable[[Operation, GroupCommandT], Iterable[Item]],
        command: GroupCommandT,
        sender: Address,
        *,
        people: Iterable[str] = (),
        prepare: Callable[[Operation, GroupCommandT], Awaitable[None]] | None = None,
    ) -> None:
        """Decide a checked command, once the profiles of its caller and of `people` have been read."""
        askers: list[Asker] = [(sender, command.ref)] if isinstance(command, Command) else []

        async def prepared() -> Operation:
            found = await self._people((command.caller.user_id, *people))
            operation = Operation(self.world, self.roster, self.log, command, askers, found)
            if prepare is not None:
                await prepare(operation, command)
            return operation

        def then(operation: Operation) -> None:
            self.add_to_draft(*decide(operation, command))

        self.read(prepared(), then, command, sender)

    async def _people(self, user_ids: Iterable[str]) -> People:
        """Profiles, read in slices, between which other tasks run."""
        ids, found = list(dict.fromkeys(user_ids)), People()
        for start in range(0, len(ids), SLICE_MEMBERS):
            if start:
                await asyncio.sleep(0)
            users = await self.world.store.users(ids[start : start + SLICE_MEMBERS])
            found.update((user.user_id, render.user_info(user)) for user in users)
        return found

    def receiveMsg_ProfileChanged(self, message: ProfileChanged, sender: Address) -> None:
        if message.user_id in self.roster.members and self.roster.info is not None:
            self._operate(membership.profile_changed, message, sender, people=[message.user_id])

    def receiveMsg_CreateGroup(self, command: CreateGroup, sender: Address) -> None:
        if self.is_claimed or self.roster.info is not None:
            raise GroupExists
        membership.check_create(command)
        people = membership.initial_roles(command)
        self._operate(membership.create, command, sender, people=people, prepare=membership.prepare_create)

    def receiveMsg_InviteMembers(self, command: InviteMembers, sender: Address) -> None:
        membership.check_invite(self.roster, command)
        people = command.user_ids
        self._operate(membership.invite, command, sender, people=people, prepare=membership.prepare_invite)

    def receiveMsg_KickMembers(self, command: KickMembers, sender: Address) -> None:
        membership.check_kick(self.roster, command)
        people = command.user_ids
        self._operate(membership.kick, command, sender, people=people, prepare=membership.prepare_kick)

    def receiveMsg_QuitGroup(self, command: QuitGroup, sender: Address) -> None:
        membership.check_quit(self.roster, command)
        self._operate(membership.quit_group, command, sender, people=[command.user_id])

    def receiveMsg_DismissGroup(self, command: DismissGroup, sender: Address) -> None:
        membership.check_dismiss(self.roster, command)
        self._operate(membership.dismiss, command, sender)

    def receiveMsg_DropMembers(self, message: DropMembers, sender: Address) -> None:
        def then(found: tuple[list[str], MemberPlace | None]) -> None:
            user_ids, place = found
            if user_ids:
                self.add_to_draft(membership.drop_members(self.roster, user_ids, has_more=place is not None))

        self.read(self.world.store.member_ids(self.id, None, LIST_LIMIT), then, message, sender)

    def receiveMsg_MuteMember(self, command: MuteMember, sender: Address) -> None:
        muting.check_mute_member(self.roster, command)
        self._operate(muting.mute_member, command, sender, people=[command.user_id])

    def receiveMsg_CancelMuteMember(self, command: CancelMuteMember, sender: Address) -> None:
        muting.check_mute_member(self.roster, command)
        self._operate(muting.mute_member, command, sender, people=[command.user_id])

    def receiveMsg_MuteGroup(self, command: MuteGroup, sender: Address) -> None:
        muting.check_mute_group(self.roster, command)
        self._operate(muting.mute_group, command, sender)

    def receiveMsg_CancelMuteGroup(self, command: CancelMuteGroup, sender: Address) -> None:
        muting.check_mute_group(self.roster, command)
        self._operate(muting.mute_group, command, sender)
