"""The page of rollouts in a browser, on a phone and on a wide screen."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, expect

from flags.rollout.state import Entry, State, Status
from flags.rollout.verdict import Outcome
from tests.support.browser import browser
from tests.support.rollout_page import HOUR, NOW, Shown, document, finding, series, shown, state

PHONE, WIDE = (360, 740), (1280, 800)
POLL = 3000
PAYLOAD = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&amp;'

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
DRAWN = """lines => lines.map(line => line.getTotalLength() > 100)"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A browser for all tests here."""
    async with browser() as chromium:
        yield chromium


@pytest.fixture
def server() -> Iterator[Shown]:
    """A server of the page, which holds at 50 %."""
    with shown(document(state())) as server:
        yield server


class Window:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, page: Page, server: Shown) -> None:
        self.page = page
        self._server = server
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc != urlsplit(self._server.url).netloc:
            self.elsewhere.append(request.url)

    async def open(self) -> None:
        # Its clock can be put forward: nobody waits until the page asks again.
        await self.page.clock.install()
        await self.page.goto(self._server.url)
        await expect(self.page.locator("h2").first).to_be_visible()

    async def ask_again(self) -> None:
        await self.page.clock.fast_forward(POLL)

    async def is_well(self) -> None:
        """Nothing is wider than the screen, nobody complains, and nobody else was asked."""
        assert await self.page.evaluate(OVERFLOW) <= 0
        assert (self.complaints, self.elsewhere) == ([], [])


on_phone = pytest.mark.parametrize("window", [PHONE], ids=["phone"], indirect=True)
"""Where a wide screen shows the same."""


@pytest_asyncio.fixture(params=[PHONE, WIDE], ids=["phone", "wide"], loop_scope="session")
async def window(
    request: pytest.FixtureRequest, chromium: Browser, server: Shown
) -> AsyncIterator[Window]:
    """A window of either size."""
    width, height = request.param
    page = await chromium.new_page(viewport={"width": width, "height": height})
    yield Window(page, server)
    await page.close()


def rolled_back() -> State:
    """Return a rollout that was rolled back from 50 % a minute ago."""
    entry = Entry(NOW - 60, "roll back", "controller", 10, "error rate (absolute): over 0.1 %")
    return replace(
        state(Outcome.FAIL),
        status=Status.STOPPED,
        phase=0,
        percent=10,
        phase_since=NOW - 60,
        history=(*state().history, entry),
    )


async def test_all_of_a_rollout(window: Window) -> None:
    """Verdict, phases, table, history and queries are there, and both charts have every line."""
    await window.open()
    page = window.page

    await expect(page.locator(".verdict")).to_contain_text("HOLD")
    await expect(page.locator(".verdict")).to_contain_text("50 %")
    await expect(page.locator("[aria-current=step]")).to_contain_text("18 h 5")
    await expect(page.locator(".phase")).to_contain_text(["10 % passed", "50 % now", "100 % next"])
    rows = page.get_by_role("table").get_by_role("row")
    await expect(rows).to_have_count(7)
    await expect(rows.nth(1)).to_contain_text("2,400 of about 2,996 calls")
    for name in ("Error rate", "p95"):
        chart = page.get_by_role("img", name=name)
        assert await chart.locator("path.line").evaluate_all(DRAWN) == [True] * 3
    await expect(page.get_by_role("img", name="Error rate")).to_contain_text("limit 0.1 %")
    await expect(page.locator(".history li").first).to_contain_text("promote")
    await page.get_by_text("What Prometheus was asked").click()
    await expect(page.get_by_text("grpc_server_handled_total")).to_be_visible()
    await window.is_well()


async def test_a_phase_that_passed(window: Window, server: Shown) -> None:
    """It is told when the phase began, not when it was completed or somebody blocked it."""
    began = Entry(NOW - 30 * HOUR, "promote", "controller", 100, "Every criterion is kept.")
    history = (
        *state().history,
        began,
        Entry(NOW - 29 * HOUR, "block", "asha", 100, "lunch"),
        Entry(NOW - HOUR, "complete", "controller", 100, "Every criterion is kept."),
    )
    completed = replace(
        state(Outcome.PASS),
        status=Status.COMPLETED,
        phase=2,
        percent=100,
        phase_since=began.at,
        history=history,
    )
    server.data = document(completed)
    await window.open()

    last = window.page.locator(".phase").nth(2)
    await expect(last).to_contain_text("100 % passed")
    shown_at = await last.locator("time").get_attribute("datetime")
    assert shown_at == datetime.fromtimestamp(began.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_it_is_live(window: Window, server: Shown) -> None:
    """A change of the state changes the page without a reload, and leaves open what is open."""
    await window.open()
    page = window.page
    await page.evaluate("window.mark = 1")
    await page.get_by_text("What Prometheus was asked").click()

    server.data = document(rolled_back(), series(errors=0.0125))
    await window.ask_again()
    await expect(page.locator(".verdict")).to_contain_text("FAIL")
    await expect(page.locator(".verdict")).to_contain_text("Rolled back to 10 %")
    await expect(page.get_by_role("note")).to_contain_text("error rate (absolute): over 0.1 %")
    await expect(page.get_by_role("status")).to_contain_text("FAIL · customer-analytics · 10 %")
    await expect(page).to_have_title("FAIL · customer-analytics · 10 %")
    await expect(page.get_by_text("grpc_server_handled_total")).to_be_visible()
    assert await page.evaluate("window.mark") == 1
    await window.is_well()


async def test_text_of_people_stays_text(window: Window, server: Shown) -> None:
    """What looks like HTML, in any text that comes from outside, is shown as it is."""
    hostile = replace(
        state(),
        blocked=PAYLOAD,
        status=Status.PAUSED,
        paused=PAYLOAD,
        history=(Entry(NOW - 60, "block", PAYLOAD, 50, PAYLOAD),),
    )
    look = hostile.look
    assert look is not None
    assert look.verdict is not None
    verdict = replace(
        look.verdict,
        findings=(finding(PAYLOAD, Outcome.HOLD, 1.0, explanation=PAYLOAD),),
    )
    readings = tuple(replace(each, query=PAYLOAD, answer=PAYLOAD) for each in look.readings)
    hostile = replace(
        hostile, look=replace(look, verdict=verdict, readings=readings, problem=PAYLOAD)
    )
    server.data = document(hostile) | {"notes": [PAYLOAD], "problem": PAYLOAD}
    await window.open()

    await expect(window.page.get_by_role("note").first).to_contain_text(PAYLOAD)
    assert await window.page.evaluate("window.hacked") is None
    assert await window.page.locator("main img, main script, #notes img, #problem img").count() == 0
    await window.is_well()


@on_phone
async def test_a_rollout_that_was_not_started(window: Window, server: Shown) -> None:
    """It is said how to start it."""
    server.data = document(None)
    await window.open()

    await expect(window.page.locator(".verdict")).to_contain_text("NOT STARTED")
    await expect(window.page.get_by_role("note")).to_contain_text(
        "patron rollout start customer-analytics"
    )
    await window.is_well()


@on_phone
async def test_the_controller_is_gone(window: Window, server: Shown) -> None:
    """A verdict that is old is none: it says HOLD, and asks for the controller."""
    now = NOW + 7200
    server.data = document(state(Outcome.PASS)) | {"now": now, "as_of": now}
    await window.open()

    await expect(window.page.locator(".verdict")).to_contain_text("HOLD")
    await expect(window.page.locator(".verdict")).to_contain_text("Is the controller running?")
    await window.is_well()


@on_phone
async def test_the_controller_goes_while_it_is_watched(window: Window, server: Shown) -> None:
    """A HOLD that gets old says so too, although its word stays the same."""
    await window.open()
    await expect(window.page.locator(".verdict")).to_contain_text("Not known yet: error rate.")

    now = NOW + 7200
    server.data |= {"now": now, "as_of": now}
    await window.ask_again()
    await expect(window.page.locator(".verdict")).to_contain_text("Is the controller running?")
    await window.is_well()


@on_phone
async def test_no_lines(window: Window, server: Shown) -> None:
    """Instead of the charts it is said why there are none."""
    server.data = document(state(), {"note": "PATRON_PROMETHEUS_URL is not set."})
    await window.open()

    await expect(window.page.get_by_text("PATRON_PROMETHEUS_URL is not set.")).to_be_visible()
    assert await window.page.get_by_role("img").count() == 0
    await window.is_well()


@on_phone
async def test_the_database_is_gone(window: Window, server: Shown) -> None:
    """What was known last stays, and it is said that it is old, and why."""
    server.data = document(state(), problem="It cannot be read how the rollouts stand.") | {
        "as_of": NOW - 600
    }
    await window.open()

    await expect(window.page.get_by_role("alert")).to_contain_text("cannot be read")
    await expect(window.page.locator("#freshness")).to_contain_text("10 min ago")
    await expect(window.page.locator(".verdict")).to_contain_text("50 %")
    await window.is_well()


@on_phone
async def test_an_answer_that_makes_no_sense(window: Window, server: Shown) -> None:
    """As from another release: the page asks to be loaded again, and shows what it knows."""
    await window.open()
    server.data = {}
    await window.ask_again()

    await expect(window.page.get_by_role("alert")).to_contain_text("reload it")
    await expect(window.page.locator(".verdict")).to_contain_text("50 %")
    await window.is_well()


async def test_the_server_is_gone(chromium: Browser) -> None:
    """It says that it is offline and what it shows is old, and is live again when the server is."""
    page = await chromium.new_page(viewport={"width": 360, "height": 740})
    with shown(document(state())) as server:
        window = Window(page, server)
        await window.open()
        await expect(page.locator("#freshness")).to_contain_text("Live, as of")
        port = urlsplit(server.url).port
        assert port is not None

    await window.ask_again()
    await expect(page.get_by_role("alert")).to_contain_text("Offline")
    await expect(page.locator("#freshness")).to_contain_text("Not live, as of")
    await expect(page.locator(".verdict")).to_contain_text("HOLD")
    assert await page.evaluate(OVERFLOW) <= 0

    with shown(document(rolled_back()), port=port):
        await window.ask_again()
        await expect(page.locator("#freshness")).to_contain_text("Live, as of")
        await expect(page.get_by_role("alert")).to_be_hidden()
        await expect(page.locator(".verdict")).to_contain_text("FAIL")
    await page.close()
