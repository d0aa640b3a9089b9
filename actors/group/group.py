"""Group: the Conversation of a group's key, with members and roles. Membership changes and messages have one order.

Two pictures are kept. `members` is what has been decided: who may speak. `listeners` is what is committed: who
hears; it changes by effects, in the order of the pushes. So a kicked member hears everything up to his kick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors import render
from greenroom.actors.audience import Audience
from greenroom.actors.conversation import Conversation
from greenroom.actors.errors import (
    ArgsError,
    GreenroomError,
    GroupDismissed,
    GroupExists,
    MutedGroup,
    MutedInGroup,
    NoPermission,
    RecordNotFound,
)
from greenroom.actors.group import change as group_change
from greenroom.actors.group import membership, muting
from greenroom.actors.rules import message as rules
from greenroom.actors.rules.ids import GROUP
from greenroom.persistence.store import AddRecords, KeyKind, Reason, RecordOwner, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        ProfileChanged,
        Push,
        QuitGroup,
        SendMessage,
    )
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.actors.world import World

__all__ = ["Group"]

_NEWER_THAN_ALL = 2**62


class Group(Conversation):
    """Answers what Conversation answers, and the membership commands of `messages`."""

    __slots__ = ("audience", "info", "listeners", "members", "version", "version_id")

    KIND: KeyKind = "group"
    KEY_PREFIX = "group/"

    def __init__(self, world: World, group_id: str) -> None:
        super().__init__(world, group_id)
        self.info: sdkws_pb2.GroupInfo | None = None
        self.members: dict[str, sdkws_pb2.GroupMemberFullInfo] = {}
        self.version = 1
        """Of the members' version log, as decided."""
        self.version_id = ""
        self.listeners: set[str] = set()
        self.audience = Audience()
        """Listeners that were online when last looked at."""

    async def load(self) -> Any:
        store = self.world.store
        state = await store.key(self.id)
        log = await store.changes("members", self.id, _NEWER_THAN_ALL)
        if state is None or state.kind != "group":
            return state, [], [], log
        return state, await store.groups([self.id]), await store.members(self.id), log

    def loaded(self, state: Any) -> None:
        key, infos, members, log = state
        super().loaded(key)
        self.info = render.group_info(infos[0]) if infos else None
        self.members = {member.row.user_id: render.member_info(member) for member in members}
        self.version, self.version_id = log.version, log.version_id
        self.join(self.members)

    def join(self, user_ids: Iterable[str]) -> None:
        """From now on these hear what is pushed to the audience."""
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

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        return ()

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        return AddRecords(conversation_id, GROUP, self.id, [RecordOwner(user_id, "") for user_id in self.members])

    def existing(self) -> sdkws_pb2.GroupInfo:
        """The group. Raises RecordNotFound, GroupDismissed."""
        if self.info is None:
            raise RecordNotFound("no such group")
        if self.info.status == group_change.DISMISSED:
            raise GroupDismissed
        return self.info

    def admit(self, command: SendMessage, sender: Address) -> None:
        message = command.message
        info = self.existing()
        rules.force_options(message)
        if not self.world.is_admin(message.sendID):
            member = self.members.get(message.sendID)
            if member is None:
                raise NoPermission("the sender is not a member")
            if member.roleLevel != group_change.OWNER:
                if member.muteEndTime >= self.world.clock.now_ms():
                    raise MutedInGroup
                if info.status == group_change.MUTED and member.roleLevel != group_change.ADMIN:
                    raise MutedGroup
        self.take(command, sender, None)

    def refused(self, refusal: Refusal) -> GreenroomError:
        return GroupExists() if refusal.reason == Reason.KEY_TAKEN else super().refused(refusal)

    def receiveMsg_ProfileChanged(self, message: ProfileChanged, sender: Address) -> None:
        if message.user_id in self.members and self.info is not None:
            membership.profile_changed(self, message, sender)

    def receiveMsg_CreateGroup(self, command: CreateGroup, sender: Address) -> None:
        if self.claimed or self.info is not None:
            raise GroupExists
        membership.create(self, command, sender)

    def receiveMsg_InviteMembers(self, command: InviteMembers, sender: Address) -> None:
        membership.invite(self, command, sender)

    def receiveMsg_KickMembers(self, command: KickMembers, sender: Address) -> None:
        membership.kick(self, command, sender)

    def receiveMsg_QuitGroup(self, command: QuitGroup, sender: Address) -> None:
        membership.quit_group(self, command, sender)

    def receiveMsg_DismissGroup(self, command: DismissGroup, sender: Address) -> None:
        membership.dismiss(self, command, sender)

    def receiveMsg_MuteMember(self, command: MuteMember, sender: Address) -> None:
        if command.muted_seconds <= 0:
            raise ArgsError("mutedSeconds must be above 0")
        muting.mute_member(self, command, sender, command.muted_seconds)

    def receiveMsg_CancelMuteMember(self, command: CancelMuteMember, sender: Address) -> None:
        muting.mute_member(self, command, sender, 0)

    def receiveMsg_MuteGroup(self, command: MuteGroup, sender: Address) -> None:
        muting.mute_group(self, command, sender, muted=True)

    def receiveMsg_CancelMuteGroup(self, command: CancelMuteGroup, sender: Address) -> None:
        muting.mute_group(self, command, sender, muted=False)
