"""A headless Chromium."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    # Nothing but the pages that a test opens: no look-ups of the browser's own.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Run the Chromium of this machine; where there is none, skip the test, or fail it in CI."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium")
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=executable, args=_ARGUMENTS, handle_sigint=False, handle_sigterm=False
        ) as chromium,
    ):
        yield chromium


@asynccontextmanager
async def browsing(site: str, *, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """Lend a page of a new browser, which reaches this site alone, such as http://127.0.0.1:80."""

    async def elsewhere(route: Route) -> None:
        await route.abort()

    async with browser() as chromium:
        page = await chromium.new_page(viewport={"width": width, "height": height})
        await page.route(lambda url: not url.startswith(f"{site}/"), elsewhere)
        yield page
