"""The harness itself: the SDK loads, and a login against nothing fails in good order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import free_port
from greenroom.tests.kit.sdk_page import SdkError, SdkPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = [pytest.mark.ci, pytest.mark.browser, pytest.mark.timeout(120)]
LOGGED_OUT, LOGGED_IN = 1, 3


async def test_sdk_loads(device: Callable[[], Awaitable[SdkPage]]) -> None:
    page = await device()
    with pytest.raises(SdkError):
        await page.call("getSelfUserInfo")  # not logged in: the Go core itself says so
    assert not [line for line in page.console if line.startswith("pageerror")]


async def test_login_against_nothing(device: Callable[[], Awaitable[SdkPage]]) -> None:
    page = await device()
    token = "eyJhbGciOiJIUzI1NiJ9.e30.x"
    nothing = f"127.0.0.1:{free_port()}"
    await page.login(user_id="alice", token=token, ws_url=f"ws://{nothing}", api_url=f"http://{nothing}")
    await page.wait_event("OnConnectFailed")
    assert not await page.events("OnConnectSuccess")
    assert await page.call("getLoginStatus") == LOGGED_IN  # logged in on the device, and trying again
    await page.logout()
    assert await page.call("getLoginStatus") == LOGGED_OUT
