"""A device that runs the unmodified official SDK in a browser: one page in a browser context of its own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from playwright.async_api import Browser, BrowserContext, Page


class SdkError(Exception):
    """The SDK rejected a call."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code


class SdkPage:
    """One user's device. Its storage lives as long as the context: `reload` is an app restart."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._context = context
        self._page = page
        self.console: list[str] = []
        """The lines of the page's console, and the page's errors."""
        page.on("console", lambda line: self.console.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))

    @classmethod
    async def open(cls, browser: Browser, url: str) -> SdkPage:
        context = await browser.new_context()
        page = cls(context, await context.new_page())
        await page._load(url)
        return page

    async def close(self) -> None:
        await self._context.close()

    async def reload(self) -> None:
        """Restart the app: a new SDK starts with the storage of the old one."""
        await self._load(self._page.url)

    async def _load(self, url: str) -> None:
        await self._page.goto(url)
        await self._page.wait_for_function("window.harnessReady === true", timeout=30_000)

    async def ask(self, name: str, argument: Any = None) -> Any:
        """Call the page's harness. Raises SdkError where the SDK rejects."""
        answer = await self._page.evaluate(
            "([name, argument]) => window.harness[name](argument)", [name, argument]
        )
        if isinstance(answer, dict) and "ok" in answer:
            if not answer["ok"]:
                raise SdkError(answer["errCode"], str(answer["errMsg"]))
            return answer["data"]
        return answer

    async def call(self, method: str, *args: Any) -> Any:
        """Any method of the SDK, by its name; returns its data."""
        return await self.ask("call", {"method": method, "args": list(args)})

    async def login(
        self, *, user_id: str, token: str, ws_url: str, api_url: str, platform_id: int = 5
    ) -> None:
        """Log in; the connection and the first sync follow by themselves (see `wait_synced`)."""
        params = {
            "userID": user_id,
            "token": token,
            "platformID": platform_id,
            "wsAddr": ws_url,
            "apiAddr": api_url,
        }
        await self.ask("login", params)

    async def logout(self) -> None:
        await self.ask("logout")

    async def send_text(self, text: str, *, to: str = "", group: str = "") -> Mapping[str, Any]:
        """Send, and return the message as the SDK keeps it after the ack."""
        sent: Mapping[str, Any] = await self.ask("sendText", {"recvID": to, "groupID": group, "text": text})
        return sent

    async def send_many(
        self, texts: Sequence[str], *, to: str = "", group: str = ""
    ) -> list[Mapping[str, Any]]:
        """Send one after the other, each after the ack of the one before."""
        return list(await self.ask("sendMany", {"recvID": to, "groupID": group, "texts": list(texts)}))

    async def create_group(self, name: str, members: Sequence[str]) -> str:
        """Make a working group; returns its id."""
        group = await self.ask(
            "createGroup",
            {
                "memberUserIDs": list(members),
                "adminUserIDs": [],
                "groupInfo": {"groupType": 2, "groupName": name},
            },
        )
        return str(group["groupID"])

    async def received(self) -> list[Mapping[str, Any]]:
        """Messages from callbacks, in the order of arrival: clientMsgID, seq, sendID, content, ..."""
        return list(await self.ask("received"))

    async def history(self, conversation_id: str) -> list[Mapping[str, Any]]:
        """The whole conversation as the SDK shows it, ascending."""
        return list(await self.ask("history", conversation_id))

    async def events(self, name: str = "") -> list[Mapping[str, Any]]:
        """The events of the SDK: {name, data, errCode, errMsg}, in order."""
        return [event for event in await self.ask("events") if not name or event["name"] == name]

    async def wait_event(self, name: str, *, times: int = 1, timeout_s: float = 30.0) -> None:
        """Wait until the event has happened `times` times since the page was loaded."""
        await self._page.wait_for_function(
            "([name, times]) => window.harness.events().filter(event => event.name === name).length >= times",
            arg=[name, times],
            timeout=timeout_s * 1000,
        )

    async def wait_synced(self, *, timeout_s: float = 30.0) -> None:
        """Wait until the first sync after the login is done."""
        await self.wait_event("OnSyncServerFinish", timeout_s=timeout_s)

    async def wait_received(
        self,
        count: int,
        *,
        matching: Callable[[Mapping[str, Any]], bool] = lambda message: message["contentType"] == 101,
        timeout_s: float = 30.0,
    ) -> list[Mapping[str, Any]]:
        """Wait until this many matching messages have arrived by callback. Returns them."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = [message for message in await self.received() if matching(message)]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{len(found)} of {count} messages came: {[m['content'] for m in found]}"
                )
            await asyncio.sleep(0.05)
