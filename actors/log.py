"""Log: the newest seqs of the conversations of one key, and `Send`, the item that adds a message to them.

Ordering rule: a message gets its id and time when it is accepted, and its seq when its slice is sealed. So times rise
in the order in which messages were accepted, and a refused slice leaves no gap in the seqs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from greenroom.actors.effects import Asker, Deliver, Effect, Reply
from greenroom.actors.items import Item
from greenroom.actors.messages import Push
from greenroom.actors.rules import message as rules
from greenroom.actors.rules.ids import notification_ids
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.splice import with_seq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from greenroom.actors.messages import Caller
    from greenroom.actors.world import World
    from greenroom.persistence.store import KeyState

__all__ = ["Log", "Send", "answer"]

def answer(server_msg_id: str, client_msg_id: str, send_time: int) -> msg_pb2.SendMsgResp:
    """The answer to the sender of a message."""
    return msg_pb2.SendMsgResp(serverMsgID=server_msg_id, clientMsgID=client_msg_id, sendTime=send_time)


class Send(Item):
    """One accepted message, which is stored in one or two conversations of the key, acknowledged and pushed."""

    def __init__(
        self,
        message: sdkws_pb2.MsgData,
        key: str,
        twin: str,
        *,
        operation_id: str,
        user_ids: tuple[str, ...] | None,
        also: tuple[str, ...] = (),
        askers: Iterable[Asker] = (),
    ) -> None:
        super().__init__(askers)
        self.operation_id = operation_id
        self.user_ids = user_ids
        """The users that get the push. None means the entity's audience at the time of the push."""
        self.also = also
        # The message itself is not kept, so that little memory is used during a commit: each body is there only once.
        self.send_id = message.sendID
        self.client_msg_id = message.clientMsgID
        self.server_msg_id = message.serverMsgID
        self.send_time = message.sendTime
        self.content_type = message.contentType
        self.parts = rules.split(message, key, twin)
        self.stored = any(part.stored for part in self.parts)

    def answer(self) -> msg_pb2.SendMsgResp:
        return answer(self.server_msg_id, self.client_msg_id, self.send_time)

    def move(self, conversation_id: str, to: str) -> None:
        """Move what would be stored in one conversation to another one, before it is sealed again."""
        for part in self.parts:
            if part.conversation_id == conversation_id:
                part.conversation_id = to

    def effects(self) -> Iterator[Effect]:
        yield Reply(self.askers, self.answer())
        for part in self.parts:
            body = with_seq(part.body, part.seq) if part.seq else part.body
            yield Deliver(Push(part.conversation_id, body, self.operation_id), self.user_ids, self.also)


class Log:
    """The newest committed seqs of a key's conversations, and the newest assigned sendTime."""

    def __init__(self, world: World, key: str, chat_prefix: str) -> None:
        self.world = world
        self.key = key
        self._chat_prefix = chat_prefix
        self.twin = next(notification_ids(chat_prefix, key))
        """Id of the key's `n_` conversation. Until it has a message, another key may take it: see `move_twin`."""
        self._newest: dict[str, int] = {}
        self._last_time = 0

    def loaded(self, state: KeyState) -> None:
        """Continue from the stored state."""
        self.twin = state.twin or self.twin
        self._newest = {name: conversation.max_seq for name, conversation in state.conversations.items()}
        self._last_time = max((conversation.max_seq_time for conversation in state.conversations.values()), default=0)

    def move_twin(self, items: Iterable[Item]) -> bool:
        """Another key has taken this `n_` conversation: move the notifications among these items to the next place.
        Returns False if there is none."""
        taken = self.twin
        places = notification_ids(self._chat_prefix, self.key)
        moved = next((after for place, after in pairwise(places) if place == taken), "")
        if not moved or self.newest(taken):
            return False
        self.twin = moved
        for item in items:
            if isinstance(item, Send):
                item.move(taken, moved)
        return True

    def committed(self, send: Send) -> None:
        """Note that a message has been stored with its seqs."""
        for part in send.parts:
            if part.stored:
                self._newest[part.conversation_id] = part.seq

    def newest(self, conversation_id: str) -> int:
        """The newest committed seq of a conversation. 0 if it has no messages."""
        return self._newest.get(conversation_id, 0)

    def send(
        self,
        message: sdkws_pb2.MsgData,
        caller: Caller,
        *,
        user_ids: tuple[str, ...] | None,
        also: tuple[str, ...] = (),
        askers: Iterable[Asker] = (),
    ) -> Send:
        """Accept a message, and set its id and time."""
        self.stamp(message, caller)
        return Send(
            message, self.key, self.twin,
            operation_id=caller.operation_id, user_ids=user_ids, also=also, askers=askers,
        )  # fmt: skip

    def stamp(self, message: sdkws_pb2.MsgData, caller: Caller) -> None:
        """Set serverMsgID, and a sendTime above that of every earlier message of the key. Clients sort and page by it:
        two messages of the same millisecond could have another order on each device, or be missed between two pages.

        It is the clock's time, or last + 1 while the last one is not below the clock, because the clock was set back or
        because of a burst. A burst of n messages ends at most n ms ahead of the clock, however fast it is, and each
        millisecond without a message takes one off. Only a conversation that goes on with more than 1,000 messages a
        second runs ahead further. There is no other limit, because at a limit times would have to repeat.
        """
        now = self.world.clock.now_ms()
        asked = message.sendTime if caller.is_admin and message.sendTime else now
        self._last_time = max(self._last_time + 1, min(asked, now))
        message.sendTime = self._last_time
        message.serverMsgID = self.world.new_id()
