"""Operation: one command to a group, with all data that its decision needs. Bounds: an item that only groups have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from greenroom.actors.effects import Asker, Effect, Host
from greenroom.actors.items import Item
from greenroom.actors.rules import notifications as notices
from greenroom.actors.rules.ids import chat_id
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.openim_json import tips_element
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from greenroom.actors.group.roster import GroupCommand, Member, People, Roster
    from greenroom.actors.log import Log, Send
    from greenroom.actors.messages import Push
    from greenroom.actors.world import World

__all__ = ["SLICE_MEMBERS", "Bounds", "ConversationChanged", "Operation"]

SLICE_MEMBERS = 250
"""Members that are read or made in one turn of the loop, which takes some milliseconds."""

_EMPTY_BOUND = -1
"""The bound for a conversation without messages, because 0 would mean no bound."""


class Bounds(Item):
    """Limits what new and former members see of the chat and its `n_` twin. The limits are set at sealing."""

    def __init__(self, user_ids: Sequence[str], *, joining: bool) -> None:
        super().__init__()
        self.user_ids = user_ids
        self.joining = joining

    def writes_at(self, group_id: str, last: int, last_twin: int, *, history: bool) -> list[store.AnyWrite]:
        """The writes, given the newest seqs of the chat and its twin. With `history`, new members see old messages."""
        chat = chat_id(SessionType.GROUP, group_id)
        writes: list[store.AnyWrite] = []
        changes: dict[str, store.Value]
        if self.joining:
            owners = [store.RecordOwner(user_id, "") for user_id in self.user_ids]
            writes.append(store.AddRecords(chat, SessionType.GROUP, group_id, owners))
            changes = {"max_seq": 0, "notification_max_seq": 0}
            if not history:
                changes["min_seq"] = last + 1
        else:
            changes = {"max_seq": last or _EMPTY_BOUND, "notification_max_seq": last_twin or _EMPTY_BOUND}
        writes += [store.ChangeRecord(user_id, chat, changes) for user_id in self.user_ids]
        return writes


class ConversationChanged(Effect):
    """Push 1300 (conversation changed) to the devices of these users, if they are online. It is not stored."""

    def __init__(self, user_ids: Iterable[str], group_id: str, operation_id: str) -> None:
        self._user_ids = user_ids
        self._chat = chat_id(SessionType.GROUP, group_id)
        self._operation_id = operation_id

    def run(self, entity: Host) -> None:
        entity.world.sessions.push_each(self._pushes(entity.world))

    def _pushes(self, world: World) -> Iterator[tuple[Push, str]]:
        for user_id in self._user_ids:
            if not world.sessions.is_online(user_id):
                continue
            tips = sdkws_pb2.ConversationUpdateTips(userID=user_id, conversationIDList=[self._chat])
            push = notices.push_to(
                user_id,
                world,
                notices.CONVERSATION_CHANGED,
                tips,
                send_id=user_id,
                operation_id=self._operation_id,
            )
            yield push, user_id


class Operation:
    """The group, the command, its askers, and the profiles that were read for it.

    A decision is a function of an Operation and its command. It changes the roster, and yields items: they are
    committed together, and their notifications are sent in the same order. It runs in one turn, so what takes long for
    many members is prepared before.
    """

    def __init__(
        self, world: World, group: Roster, log: Log, command: GroupCommand, askers: list[Asker], people: People
    ) -> None:
        self.world = world
        self.group = group
        self.askers = askers
        self.people = people
        self.time = world.clock.now_ms()
        """Milliseconds since the epoch. Clients show it."""
        self.members: dict[str, Member] = {}
        """The members that the command adds or removes, once they are prepared."""
        self.elements: dict[str, bytes] = {}
        """The same as elements of the tip; see `tips_element`."""
        self._log = log
        self._command = command

    async def prepare(self, user_ids: Iterable[str], make: Callable[[str], Member]) -> None:
        """Make the members that the command adds or removes, in slices, between which other tasks run."""
        for number, user_id in enumerate(user_ids, 1):
            self.members[user_id] = member = make(user_id)
            self.elements[user_id] = tips_element(member)
            if number % SLICE_MEMBERS == 0:
                await asyncio.sleep(0)

    def operator(self) -> Member:
        """The user who runs the command, as the roster has them now."""
        return self.group.operator(self._command, self.people)

    def shown(self, user_id: str) -> Member:
        """A member as clients show them."""
        return self.group.shown(user_id, self.people)

    def tell(
        self,
        kind: notices.Notification,
        tips: Any,
        *,
        send_message: bool | None = None,
        also: tuple[str, ...] = (),
        elements: Sequence[bytes] = (),
    ) -> Send:
        """Send a tip to the group. The tip contains the group as it is now, and the version that the change wrote.
        `elements` are the members in its list."""
        group = self.group
        if group.info is not None and kind is not notices.GROUP_DISMISSED:
            tips.group.CopyFrom(group.info)
        if "groupMemberVersion" in tips.DESCRIPTOR.fields_by_name:
            tips.groupMemberVersion, tips.groupMemberVersionID = group.version, group.version_id
        caller = self._command.caller
        notice = notices.build(
            self.world,
            kind,
            tips,
            send_id=caller.user_id,
            recv_id=group.id,
            session_type=SessionType.GROUP,
            send_message=send_message,
            sender=self.people.get(caller.user_id),
            elements=elements,
        )
        return self._log.send(notice, caller, user_ids=None, also=also)

    def conversation_changed(self, user_ids: Iterable[str]) -> ConversationChanged:
        return ConversationChanged(user_ids, self.group.id, self._command.caller.operation_id)
