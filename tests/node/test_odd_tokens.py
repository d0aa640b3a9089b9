"""Tokens that are odd in any way get a token's error on each road in, and no traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
from websockets.asyncio.client import connect

from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.odd_tokens import WRONG_HEADERS, WRONG_PAYLOADS, raw_token
from greenroom.tests.kit.wire_kit import dial_url

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

GOOD = '{"UserID":"alice","PlatformID":5,"exp":9999999999}'
MALFORMED, UNKNOWN = 1503, 1505


async def test_odd_tokens(node: NodeProcess) -> None:
    tokens = [raw_token(payload, secret=SECRET) for payload in WRONG_PAYLOADS]
    tokens += [raw_token(GOOD, header, secret=SECRET) for header in WRONG_HEADERS]
    tokens += ["a." * 4000, "." * 8000]
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False, timeout=30) as client:
        for number, token in enumerate(tokens):
            codes = (MALFORMED,) if number < len(WRONG_PAYLOADS) else (MALFORMED, UNKNOWN)
            headers = {"operationID": "op", "token": token}
            called = await client.post("/group/get_groups_info", json={"groupIDs": ["g"]}, headers=headers)
            parsed = await client.post("/auth/parse_token", json={"token": token}, headers={"operationID": "op"})
            async with connect(
                dial_url(node, "alice", token, isMsgResp="true"), compression=None, proxy=None
            ) as socket:
                dialled = json.loads(await socket.recv())
            found = [one["errCode"] for one in (called.json(), parsed.json(), dialled)]
            assert all(code in codes for code in found), (number, found, token[:200])
    for word in ("Traceback", "Error", "failed with"):
        assert word not in node.log
