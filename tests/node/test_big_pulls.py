"""More to pull than an answer holds: the client gets all of it, in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.transport.client.client import Client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.tests.kit.node_kit import NodeProcess

SENDERS = ("a", "b", "c")
EACH = 40
LONG = "x" * 30_000
"""40 of them are 1.2 MB; the answer to a pull has 768 KiB."""


async def _client(node: NodeProcess, user: str, token: str, **options: str) -> Client:
    one = Client(ws_url=node.ws_url, user_id=user, token=token, platform_id=5, **options)  # type: ignore[arg-type]
    await one.start()
    return one


async def _say(client: Client, recv_id: str) -> None:
    for number in range(1, EACH + 1):
        await client.send(recv_id=recv_id, text=f"{number} {LONG}")


def _numbers(texts: Sequence[str]) -> list[int]:
    assert all(text.endswith(LONG) for text in texts)
    return [int(text.split(" ")[0]) for text in texts]


async def test_client_that_comes_late(node: NodeProcess) -> None:
    tokens = await node.tokens("reader", *SENDERS)
    senders = [await _client(node, user, tokens[user]) for user in SENDERS]
    await asyncio.gather(*(_say(sender, "reader") for sender in senders))
    reader = await _client(node, "reader", tokens["reader"], since="beginning")
    try:
        texts: dict[str, list[str]] = {user: [] for user in SENDERS}
        async with asyncio.timeout(30):
            while sum(map(len, texts.values())) < EACH * len(SENDERS):
                message = await anext(reader.messages())
                texts[message.send_id].append(message.text)
        assert [_numbers(one) for one in texts.values()] == [list(range(1, EACH + 1))] * len(SENDERS)
        assert reader.holes == 0
        history = await reader.pull_history("si_a_reader", begin=1, end=EACH)
        assert _numbers([one.text for one in history]) == list(range(1, EACH + 1))
        history = await reader.pull_history("si_a_reader", begin=1, end=EACH, limit=35)
        assert _numbers([one.text for one in history]) == list(range(6, EACH + 1))
    finally:
        for one in (*senders, reader):
            await one.close()
