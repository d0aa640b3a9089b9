"""The scene for bad input: a running node, tokens, a pair of bystanders, and content that must not be logged."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
import jwt

from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import ANSWER_LIMIT_S, Device, Pair

__all__ = ["ANDROID", "BODY", "OTHER_SECRET", "WEB", "Case", "Scene", "bound", "signed"]

BODY = "MarkerOfAMessageBody"
"""Part of everything here that is or could be content. The node's log must not contain it."""
WEB, ANDROID = 5, 2
OTHER_SECRET = "another secret, as long as it has to be"


class Scene(NamedTuple):
    node: NodeProcess
    tokens: dict[str, str]
    admin: str
    pair: Pair

    def device(self, user_id: str = "mallory", **how: Any) -> Any:
        return Device.open(self.node, user_id, self.tokens[user_id], **how)

    async def post(
        self, path: str, content: bytes, *, token: str | None = None, **headers: str | None
    ) -> httpx.Response:
        """Headers with the value None are left out."""
        all_headers: dict[str, str | None] = {
            "operationID": "op-http", "token": self.admin if token is None else token,
            "content-type": "application/json", **headers,
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=self.node.api_url, trust_env=False, timeout=ANSWER_LIMIT_S) as http:
            present = {name: value for name, value in all_headers.items() if value is not None}
            return await http.post(path, content=content, headers=present)


Case = Callable[[Scene], Awaitable[None]]
"""Sends one piece of bad input and checks the answer."""


def bound(case: Callable[..., Awaitable[None]], *arguments: Any, **named: Any) -> Case:
    return lambda scene: case(scene, *arguments, **named)


def signed(user_id: str, platform_id: int, *, expires_in_s: int = 3600, secret: str = SECRET) -> str:
    now = int(time.time())
    claims = {"UserID": user_id, "PlatformID": platform_id, "exp": now + expires_in_s, "iat": now - 10}
    return jwt.encode(claims, secret, algorithm="HS256")
