"""The page of a report, in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page

from load.report.formats import render
from load.report.model import GateResult, Report
from load.report.reading import read_report
from tests.support.browser import browser
from tests.support.load_reports import MS, Made, report_of, stalled_run

_GHZ_REPORT: Final = Path(__file__).parents[1] / "load" / "ghz" / "reports" / "sayhello_2.json"
_NARROW: Final = 390
_WIDE: Final = 1400
_LONG: Final = "unbreakable" * 40

_GATES: Final = [
    GateResult(gate="p95<2s", outcome="pass", figure="31.2 ms", gap="1.97 s under"),
    GateResult(gate=f"p99<500ms{_LONG}", outcome="fail", figure="812 ms", gap="312 ms over"),
    GateResult(gate="error_rate<0.1%", outcome="inconclusive", figure="0 %", gap=_LONG),
]


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Run one browser for all tests."""
    async with browser() as found:
        yield found


class _Visit:
    """A page that has been opened, and what it has asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.noticed: list[str] = []
        page.on("console", lambda message: self.noticed.append(message.text))
        page.on("pageerror", lambda error: self.noticed.append(str(error)))
        page.on("dialog", lambda dialog: self.noticed.append(dialog.message))
        page.on("request", lambda request: self.noticed.append(request.url[:100]))

    async def open(self, report: Report, folder: Path) -> None:
        path = folder / "report.html"
        path.write_text("".join(render(report, "html")), encoding="utf-8")
        self.noticed.clear()
        await self.page.goto(path.as_uri())
        # The page itself is the one thing that was asked for.
        assert self.noticed == [path.as_uri()]


def _hostile() -> Report:
    script = "<script>alert(1)</script><img src=//x.invalid onerror=alert(2)>"
    made = [
        Made(1, MS, MS, call=_LONG, error=f"{script}{_LONG}\x00", status="Internal", cache=script)
    ]
    return report_of(
        made,
        seconds=2,
        gates=_GATES,
        warnings=[script, _LONG],
        options={"data": [_LONG], "host": _LONG, _LONG: script},
        name=f"{script}{_LONG}",
    )


@pytest.mark.parametrize("width", [_NARROW, _WIDE])
async def test_the_page_needs_nothing_and_fits(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    """It asks for nothing, complains of nothing, runs nothing, and is as wide as the window."""
    context = await chromium.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=False
    )
    page = await context.new_page()
    visit = _Visit(page)
    for report in (stalled_run(), _hostile(), report_of([], seconds=1), read_report(_GHZ_REPORT)):
        await visit.open(report, tmp_path)
        # From the last on: the others keep their places.
        for closed in reversed(await page.locator("details:not([open]) > summary").all()):
            await closed.click()
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        assert await page.locator("script, img").count() == 0
    await context.close()


async def test_a_plot_is_read_where_it_is_pointed_at(chromium: Browser, tmp_path: Path) -> None:
    """Pointing at a plot shows the figures of that time, and its name tells what it shows."""
    page = await chromium.new_page(viewport={"width": _WIDE, "height": 900})
    report = stalled_run()
    await _Visit(page).open(report, tmp_path)
    plot = page.get_by_role(
        "img", name="Percentiles of the response time over time: p99 is at most"
    )
    reading = plot.locator(".reading text").nth(30)
    assert not await reading.is_visible()
    await plot.locator(".reading rect").nth(30).hover()
    assert await reading.is_visible()
    text = await reading.text_content()
    assert text
    assert text.startswith("30 s to 31 s")
    assert "p99 " in text
    await page.close()


async def test_the_figures_are_in_the_page_as_json(chromium: Browser, tmp_path: Path) -> None:
    """What the page offers as a file is the report, but for the calls one by one and secrets."""
    page = await chromium.new_page(viewport={"width": _WIDE, "height": 900})
    report = stalled_run(gates=_GATES)
    await _Visit(page).open(report, tmp_path)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="The figures as JSON").click()
    saved = await (await download.value).path()
    found = read_report(saved)
    assert found.patron == report.patron
    assert found.details is None
    assert found.options["metadata"] == {"authorization": "(not shown)"}
    assert (await download.value).suggested_filename == "report.json"
    await page.close()
