"""The second reading of a history: it finds the names for each breach, and the few events that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    HistoryPart,
    MarkedRead,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    SendAcked,
    SendFailed,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StoreGrowing,
    StorePulled,
)
from greenroom.transport.load.judge.verdict import KINDS, Breach, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AROUND_LIMIT", "explain"]

AROUND_LIMIT: Final = 12
"""Maximum number of events for one violation: as many as a person will read."""
_RECEIPTS_ELSEWHERE: Final = 2
"""Maximum number of receipts by other devices. They show that the message existed."""
_NEARBY_SEQS: Final = 1


class _Case:
    """One breach, and what the second reading has found for it."""

    __slots__ = ("answers", "around", "breach", "elsewhere", "message", "user")

    def __init__(self, breach: Breach) -> None:
        self.breach = breach
        self.around: list[tuple[int, Event]] = []
        self.elsewhere = 0
        self.answers: list[tuple[int, Event]] = []
        """The user's last answers and marks before the breach."""
        self.message = ""
        self.user = ""

    def see(self, n: int, event: Event) -> None:
        breach = self.breach
        if breach.user is not None and breach.message is None:
            self._see_answers(n, event)
            return
        is_the_one = False
        if not isinstance(
            event,
            MemberJoined | MemberLeft | SeqsAnswered | MarkedRead | DeviceStarted | DeviceDrained | StorePulled
            | StoreGrowing | HistoryPart,
        ):
            is_the_one = breach.message is not None and hash(event.client_msg_id) == breach.message
            if is_the_one:
                self.message = event.client_msg_id
        match event:
            case SendStarted() | SendAcked() | SendFailed():
                wanted = is_the_one
            case MessageReceived():
                near = event.seq > 0 and breach.seq > 0 and abs(event.seq - breach.seq) <= _NEARBY_SEQS
                if breach.device is not None and hash(event.device) == breach.device:
                    wanted = is_the_one or near
                else:
                    wanted = self.elsewhere < _RECEIPTS_ELSEWHERE and (is_the_one or (breach.device is None and near))
                    self.elsewhere += wanted
            case StoredSeen():
                wanted = is_the_one or (breach.seq > 0 and abs(event.seq - breach.seq) <= _NEARBY_SEQS)
            case MemberJoined() | MemberLeft():
                wanted = breach.user is not None and hash(event.user_id) == breach.user
            case StorePulled():
                wanted = breach.kind.endswith("_not_stored")
            case _:
                wanted = False
        if wanted and (len(self.around) < AROUND_LIMIT or n == breach.n):
            self.around.append((n, event))

    def _see_answers(self, n: int, event: Event) -> None:
        if isinstance(event, SeqsAnswered | MarkedRead | MemberJoined | MemberLeft):
            if hash(event.user_id) == self.breach.user:
                if n <= self.breach.n:
                    self.answers = [*self.answers[-4:], (n, event)]
                elif len(self.around) < 2:
                    self.around.append((n, event))
        elif (
            isinstance(event, StoredSeen)
            and 0 <= event.seq - self.breach.seq <= _NEARBY_SEQS
            and len(self.around) < AROUND_LIMIT
        ):
            self.around.append((n, event))

    def violation(self, names: dict[int, str], users: dict[int, str]) -> Violation:
        breach = self.breach
        user = "" if breach.user is None else users.get(breach.user, "")
        around = sorted([*self.answers, *self.around], key=lambda entry: entry[0])
        return Violation(
            kind=breach.kind,
            conversation_id=names.get(breach.conversation, ""),
            device="" if breach.device is None else names.get(breach.device, ""),
            user_id=user,
            seq=breach.seq,
            client_msg_id=self.message,
            detail=breach.detail or KINDS[breach.kind],
            around=tuple(event for _, event in around),
        )


def explain(breaches: list[Breach], events: Iterable[Event]) -> list[Violation]:
    """Read the history once more, and make a violation from each breach, in the same order."""
    cases = [_Case(breach) for breach in breaches]
    by_conversation: dict[int, list[_Case]] = {}
    for case in cases:
        by_conversation.setdefault(case.breach.conversation, []).append(case)
    devices = {breach.device for breach in breaches}
    wanted_users = {breach.user for breach in breaches}
    names: dict[int, str] = {}
    users: dict[int, str] = {}
    for n, event in enumerate(events, 1):
        if isinstance(event, StoreGrowing | HistoryPart):
            continue
        if isinstance(event, DeviceStarted | DeviceDrained):
            if hash(event.device) in devices:
                names[hash(event.device)] = event.device
            if isinstance(event, DeviceStarted) and hash(event.user_id) in wanted_users:
                users[hash(event.user_id)] = event.user_id
            continue
        found = by_conversation.get(hash(event.conversation_id))
        if found is None:
            continue
        names[hash(event.conversation_id)] = event.conversation_id
        if isinstance(event, MessageReceived) and hash(event.device) in devices:
            names[hash(event.device)] = event.device
        elif (
            isinstance(event, MemberJoined | MemberLeft | SeqsAnswered | MarkedRead)
            and hash(event.user_id) in wanted_users
        ):
            users[hash(event.user_id)] = event.user_id
        for case in found:
            case.see(n, event)
    return [case.violation(names, users) for case in cases]
