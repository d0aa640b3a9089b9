"""The verdict on a run: the judge of the history, the store's own check, and the memberships of each group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence.sqlite.check import check_connection
from greenroom.transport.load.judge import events
from greenroom.transport.load.judge.judging import judge

if TYPE_CHECKING:
    from greenroom.tests.simulation.world import World

__all__ = ["judge_world"]

INVITED, KICKED, QUIT = 1509, 1508, 1504


def judge_world(world: World) -> None:
    """Add the stored messages to the history, and the findings to the violations."""
    rows = world.disk.connection.execute(
        "SELECT c.conversation_id, m.seq, m.body FROM message m JOIN conversation c ON c.id = m.conversation"
        " ORDER BY c.conversation_id, m.seq"
    ).fetchall()
    stored: dict[str, list[sdkws_pb2.MsgData]] = {}
    for conversation_id, seq, body in rows:
        message = sdkws_pb2.MsgData.FromString(body)
        message.seq = seq
        stored.setdefault(conversation_id, []).append(message)
    for told in world.subscriber.violations((conversation_id, seq) for conversation_id, seq, _ in rows):
        world.violation("subscriber", told)
    _members(world, stored)
    for conversation_id, messages in stored.items():
        for one in messages:
            world.record(
                events.StoredSeen(
                    conversation_id, one.seq, one.clientMsgID, one.serverMsgID, one.sendID, one.sendTime,
                    one.contentType >= 1000,
                )
            )  # fmt: skip
    for event in world.history:
        if isinstance(event, events.SeqsAnswered) and event.read_seq > event.max_seq:
            told = f"{event.conversation_id} {event.user_id}: read seq {event.read_seq} above {event.max_seq}"
            world.violation("read_wrong", told)
    sends = (event for event in world.history if isinstance(event, events.SendStarted))
    for conversation_id in {event.conversation_id: None for event in sends}:
        world.record(events.StorePulled(conversation_id))
    verdict = judge(world.history)
    for found in verdict.violations:
        where = f"{found.conversation_id} {found.device or found.user_id} {found.seq} {found.client_msg_id}"
        world.violation(found.kind, f"{where}: {found.detail}")
    for finding in check_connection(world.disk.connection):
        world.violation("store", f"{finding.subject}: {finding.detail}")


def _members(world: World, stored: dict[str, list[sdkws_pb2.MsgData]]) -> None:
    """Who was a member from which seq to which, by the tips in the chats: each tip is in the slice of its change."""
    twins = dict(
        world.disk.connection.execute(
            "SELECT y.name, c.conversation_id FROM key y JOIN conversation c ON c.id = y.twin WHERE y.kind = 'pair'"
        ).fetchall()
    )
    for one, other in world.pairs:
        pair = f"{one}_{other}"
        for conversation_id in filter(None, (f"si_{pair}", twins.get(pair))):
            for user in (one, other):
                world.record(events.MemberJoined(conversation_id, user, 0))
    for group, first in world.first.items():
        conversation_id = f"sg_{group}"
        members = set(first)
        for user in first:
            world.record(events.MemberJoined(conversation_id, user, 0))
        for message in stored.get(conversation_id, ()):
            if message.contentType not in (INVITED, KICKED, QUIT):
                continue
            tips = json.loads(json.loads(message.content)["detail"])
            if message.contentType == INVITED:
                for user in [one["userID"] for one in tips["invitedUserList"]]:
                    open_from = 0 if world.open_history else -1
                    world.record(events.MemberJoined(conversation_id, user, message.seq, open_from))
                    members.add(user)
            else:
                gone = [tips["quitUser"]] if message.contentType == QUIT else tips["kickedUserList"]
                for user in [one["userID"] for one in gone]:
                    world.record(events.MemberLeft(conversation_id, user, message.seq))
                    members.discard(user)
        rows = world.disk.connection.execute(
            "SELECT u.user_id FROM member m JOIN user u ON u.id = m.user JOIN chat_group g ON g.id = m.chat_group"
            " WHERE g.group_id = ?",
            (group,),
        ).fetchall()
        found = {user for (user,) in rows}
        if found != members:
            world.violation("members", f"{group}: {sorted(found)} are stored, {sorted(members)} by the tips")
