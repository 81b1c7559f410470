"""The page `/rollouts` of the operators' port."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from server.admin import Page
from server.cli.rollout.parts import rollouts_folder
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flags.rollout.page.view import OverTime, RolloutsView
    from flags.rollout.plan import Plan
    from flags.rollout.ports import Saved

_PATIENCE: Final = 3.0
"""How many seconds Prometheus may take."""


def rollouts_pages(
    settings: Settings, database_url: str | None
) -> Mapping[str, Callable[[], Page]]:
    """Return the page and its data by their paths, for an AdminServer.

    Nothing is imported, read or connected before the first of them is asked for.

    Args:
        settings: Where the rollout files and Prometheus are.
        database_url: The database, as the serving or the maintenance role; None: it is not known,
            which the page says.
    """

    @cache
    def view() -> "RolloutsView":
        return _view(settings, database_url)

    def data() -> Page:
        from flags.rollout.page import JSON_HEADERS

        return Page("application/json", view().as_json(), JSON_HEADERS)

    return {"/rollouts": _html, "/rollouts.json": data}


def _html() -> Page:
    from flags.rollout.page import rollouts_html

    page = rollouts_html()
    return Page("text/html; charset=utf-8", page.body, page.headers)


def _view(settings: Settings, database_url: str | None) -> "RolloutsView":
    from flags.rollout.page.view import RolloutsView
    from flags.rollout.ports import StoreUnreachable
    from flags.rollout.prometheus import PrometheusEvidence
    from server.storage.rollouts import PostgresRollouts

    async def states() -> "Sequence[Saved]":
        if database_url is None:
            raise StoreUnreachable("PATRON_DATABASE_URL is not set")
        async with PostgresRollouts.connect(database_url) as rollouts:
            return await rollouts.list()

    def over_time(plan: "Plan") -> "OverTime | None":
        if settings.prometheus_url is None:
            return None
        return PrometheusEvidence(plan, settings.prometheus_url, patience=_PATIENCE)

    return RolloutsView(
        directory=rollouts_folder(settings),
        states=states,
        over_time=over_time,
        clock=time.time,
    )
