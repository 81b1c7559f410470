"""Chromium, without a window."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, Route, async_playwright

from tests.support.programs import require

_ARGUMENTS = (
    "--no-sandbox",  # Root has none.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def browsing(site: str, *, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """Lend a page of a new browser, which reaches this site alone, such as http://127.0.0.1:80."""
    chromium = require("chromium", "chromium")

    async def elsewhere(route: Route) -> None:
        await route.abort()

    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=chromium, args=list(_ARGUMENTS)
        ) as browser,
    ):
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.route(lambda url: not url.startswith(f"{site}/"), elsewhere)
        yield page
