"""The browser, the page's static server, and a server under test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.sdk_files import PageServer, fetch_sdk, missing_tools
from greenroom.tests.kit.sdk_page import SdkPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from playwright.async_api import Browser

CHROMIUM_ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@pytest.fixture(scope="session")
def page_url() -> Iterator[str]:
    lacking = missing_tools()
    if lacking:
        message = f"the browser tests need {' and '.join(lacking)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    fetch_sdk()
    server = PageServer()
    yield server.url
    server.close()


@pytest.fixture
async def browser(page_url: str) -> AsyncIterator[Browser]:
    import shutil

    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS, headless=True
        )
        yield browser
        await browser.close()


@pytest.fixture
async def device(browser: Browser, page_url: str) -> AsyncIterator[Callable[[], Awaitable[SdkPage]]]:
    """Makes devices: each a browser context of its own."""
    opened: list[SdkPage] = []

    async def open_device() -> SdkPage:
        page = await SdkPage.open(browser, page_url)
        opened.append(page)
        return page

    yield open_device
    for page in opened:
        await page.close()
