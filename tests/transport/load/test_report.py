"""The report in a browser: its plots are there, and it asks nobody for anything."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.load_kit import SHORT, start_load, wait_load

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess

pytestmark = [pytest.mark.ci, pytest.mark.browser, pytest.mark.timeout(90)]

CHROMIUM_ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


async def test_report_in_a_browser(node: NodeProcess, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("the report's test needs chromium")
        pytest.skip("the report's test needs chromium")
    from playwright.async_api import async_playwright

    assert node.process is not None
    arguments = ("--users", "20", "--rate", "100", *SHORT[2:], "--for", "4s", "--server-pid", str(node.process.pid))
    run = await wait_load(await start_load(tmp_path, "one-to-one", *arguments, node=node), tmp_path, "one-to-one")
    assert run.code == 0, run.out + run.err
    asked: list[str] = []
    console: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS, headless=True)
        page = await browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda line: console.append(line.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        await page.goto(run.html.as_uri())
        titles = await page.locator("figcaption").all_inner_texts()
        for title in (
            "Latency of acks and deliveries", "Percentile ladder", "Throughput", "CPU of the server",
            "Memory of the server",
        ):  # fmt: skip
            assert title in titles
        for figure in await page.locator("figure").all():
            box = await figure.locator("svg").bounding_box()
            assert box is not None
            assert box["width"] > 300
            assert box["height"] > 100
            line = await figure.locator("polyline").first.bounding_box()
            assert line is not None
            assert line["width"] > 200
        assert "99.99%" in await page.locator("figure").nth(1).inner_text()
        assert "Every promise was kept." in await page.inner_text("body")
        await page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
        await browser.close()
    assert asked == [run.html.as_uri()]
    assert not console
    figures = run.figures
    assert figures["server_rss_peak_bytes"] > 10_000_000
    assert figures["server_cpu_s"] > 0
    assert figures["harness"]["cpu_us_per_message"] > 0
