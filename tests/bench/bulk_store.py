"""A database with many messages, written directly with SQL, because the product would take an hour."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence.sqlite.schema import migrate
from greenroom.persistence.sqlite.statements import connect

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hub_name", "peer_name", "write_store"]

_MADE_AT_MS = 1_700_000_000_000


def hub_name(number: int) -> str:
    return f"hub{number:04d}"


def peer_name(number: int) -> str:
    return f"peer{number:06d}"


def write_store(database: Path, *, hubs: int, peers: int, messages: int, text_bytes: int) -> None:
    """Each of `hubs` users has written `messages` to each of `peers` others: hubs * peers conversations."""
    database.parent.mkdir(parents=True, exist_ok=True)
    connection = connect(database)
    migrate(connection, instance=os.urandom(16))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("BEGIN")
    names = [*map(hub_name, range(hubs)), *map(peer_name, range(peers))]
    connection.executemany(
        "INSERT INTO user (id, user_id, registered, nickname, create_time) VALUES (?1, ?2, ?1, ?2, ?3)",
        [(number, name, _MADE_AT_MS) for number, name in enumerate(names, 1)],
    )
    connection.execute("CREATE TEMP TABLE said (conversation INTEGER PRIMARY KEY, hub, peer, key, body)")
    connection.executemany(
        "INSERT INTO said VALUES (?, ?, ?, ?, ?)",
        [
            (
                1 + hub * peers + peer, 1 + hub, 1 + hubs + peer, f"{hub_name(hub)}_{peer_name(peer)}",
                _body(hub_name(hub), peer_name(peer), text_bytes),
            )
            for hub in range(hubs)
            for peer in range(peers)
        ],
    )  # fmt: skip
    connection.execute("INSERT INTO key SELECT 'pair', key, substr(key, 1, 7), substr(key, 9), NULL FROM said")
    connection.execute(
        "INSERT INTO conversation (id, conversation_id) SELECT conversation, 'si_' || key FROM said"
    )
    for owner, peer in (("hub", "peer"), ("peer", "hub")):
        connection.execute(
            "INSERT INTO record (owner, conversation, place, conversation_type, peer, group_id)"
            f" SELECT {owner}, conversation, 1 + conversation, 1, {peer}, '' FROM said"
        )
    connection.execute(
        "INSERT INTO message (conversation, seq, sender, client, server, send_time, content_type, body)"
        " SELECT conversation, seq, hub, client, server, ?2 + seq, 101, body FROM"
        " (WITH RECURSIVE one (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM one WHERE seq < ?1)"
        "  SELECT conversation, one.seq, hub, body, randomblob(16) AS client, randomblob(16) AS server"
        "  FROM said CROSS JOIN one ORDER BY conversation, one.seq)",
        (messages, _MADE_AT_MS),
    )
    for key in ("0, seq", "sender, client"):
        connection.execute(f"INSERT INTO message_key SELECT conversation, {key}, id FROM message ORDER BY id")
    connection.execute("COMMIT")
    connection.close()


def _body(send_id: str, recv_id: str, text_bytes: int) -> bytes:
    return sdkws_pb2.MsgData(
        sendID=send_id, recvID=recv_id, clientMsgID=os.urandom(16).hex(), serverMsgID=os.urandom(16).hex(),
        senderPlatformID=2, senderNickname=send_id, sessionType=1, msgFrom=100, contentType=101,
        content=b'{"content":"%b"}' % os.urandom(text_bytes // 2).hex().encode(), sendTime=_MADE_AT_MS,
        createTime=_MADE_AT_MS, status=2,
    ).SerializeToString()  # fmt: skip
