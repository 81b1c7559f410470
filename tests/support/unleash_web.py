"""What a person does in Unleash's web UI."""

import re

from playwright.async_api import Locator, Page, expect

from server.embedded import UnleashAddress
from server.embedded.unleash import USER
from tests.support.browser import browsing

_SAVED_MS = 30_000


async def change_rollout(unleash: UnleashAddress, flag: str, percent: int) -> None:
    """Log in, open the flag, edit the share of its strategy in production, and save it."""
    async with browsing(unleash.web) as page:
        await page.add_locator_handler(page.get_by_role("button", name="Got it"), _close)
        await page.goto(f"{unleash.web}/projects/default/features/{flag}")
        await _log_in(page, unleash.password)
        await page.get_by_role("button", name=re.compile("Environment production")).click()
        await page.get_by_role("link", name="Edit strategy").click()
        await page.get_by_role("spinbutton").fill(str(percent))
        await page.get_by_role("button", name="Save strategy").click()
        warning = page.get_by_role("dialog", name="Changing production environment!")
        await warning.get_by_role("button", name="Save strategy").click()
        await expect(page.get_by_text("Strategy updated")).to_be_visible(timeout=_SAVED_MS)


async def _log_in(page: Page, password: str) -> None:
    await page.get_by_label("Username").fill(USER)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def _close(welcome: Locator) -> None:
    await welcome.click()
