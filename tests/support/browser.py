"""A headless Chromium."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

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
