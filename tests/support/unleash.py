"""A real Unleash, and what a person does in it, through its Admin API."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import urllib3

from flags.rollout.unleash_admin import UnleashSwitch
from server.embedded import (
    EmbeddedPostgres,
    EmbeddedUnleash,
    ProgramUnavailable,
    UnleashAddress,
)
from server.embedded.unleash import USER, require_programs
from tests.support.waiting import until

ENVIRONMENT = "production"

_WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = 'unleash' AND wait_event_type = 'Lock'
"""


class Unleash:
    """A running Unleash. Each test works on flags of its own."""

    def __init__(self, address: UnleashAddress, data_dir: Path) -> None:
        self.address = address
        self.data_dir = data_dir
        self._headers = {"Authorization": address.admin_token}
        self._http = urllib3.PoolManager(timeout=10, retries=False)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that asks it, by field."""
        return {"unleash_url": self.address.api, "unleash_token": self.address.client_token}

    @property
    def admin_settings(self) -> dict[str, str]:
        """The settings of a command that moves a rollout in it, by field."""
        return {**self.settings, "unleash_admin_token": self.address.admin_token}

    def person(self) -> "Unleash":
        """Return the same, used by a person who has logged in instead of by a token."""
        person = Unleash(self.address, self.data_dir)
        login = person._http.request(
            "POST",
            f"{self.address.web}/auth/simple/login",
            json={"username": USER, "password": self.address.password},
        )
        assert login.status == 200, login.data
        person._headers = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
        return person

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the Admin API, which must succeed; return its answer."""
        response = self._http.request(
            method,
            f"{self.address.api}/admin/{path}",
            json=body,
            headers=self._headers,
        )
        assert response.status < 300, (method, path, response.status, response.data)
        return response.json() if response.data else None

    def new_flag(self, *, percent: int | None = 0, name: str | None = None) -> str:
        """Create a flag with a gradual strategy, and enable it; return its name.

        Args:
            percent: The share of users; None: the flag has no strategy and is off.
            name: Its name; None: a new one.
        """
        flag = name or f"flag-{uuid.uuid4().hex[:12]}"
        self.ask("POST", "projects/default/features", {"name": flag, "type": "release"})
        if percent is not None:
            self.add_strategy(flag, percent=percent)
            self.enable(flag)
        return flag

    def add_strategy(self, flag: str, *, percent: int = 0, **changes: object) -> str:
        """Add a gradual strategy to a flag, or one with other keys; return its id."""
        parameters = {"rollout": str(percent), "stickiness": "userId", "groupId": flag}
        strategy = {"name": "flexibleRollout", "parameters": parameters, "constraints": []}
        answer = self.ask("POST", f"{self._of(flag)}/strategies", strategy | changes)
        return str(answer["id"])

    def strategies(self, flag: str) -> list[dict[str, Any]]:
        """Return a flag's strategies as they are."""
        return list(self.ask("GET", f"{self._of(flag)}/strategies"))

    def share(self, flag: str) -> str:
        """Return the percentage of a flag that has one strategy."""
        [strategy] = self.strategies(flag)
        return str(strategy["parameters"]["rollout"])

    def replace(self, flag: str, values: Mapping[str, object]) -> None:
        """Replace members of a flag's only strategy, by path; the rest stays."""
        [strategy] = self.strategies(flag)
        operations = [
            {"op": "replace", "path": path, "value": value} for path, value in values.items()
        ]
        self.ask("PATCH", f"{self._of(flag)}/strategies/{strategy['id']}", operations)

    def set_share(self, flag: str, percent: int) -> None:
        """Set the percentage of a flag that has one strategy."""
        self.replace(flag, {"/parameters/rollout": str(percent)})

    def remove_strategy(self, flag: str, strategy_id: str) -> None:
        """Remove one of a flag's strategies."""
        self.ask("DELETE", f"{self._of(flag)}/strategies/{strategy_id}")

    def enable(self, flag: str) -> None:
        """Switch a flag on."""
        self.ask("POST", f"{self._of(flag)}/on")

    def disable(self, flag: str) -> None:
        """Switch a flag off."""
        self.ask("POST", f"{self._of(flag)}/off")

    def is_enabled(self, flag: str) -> bool:
        """Return whether a flag is on."""
        return bool(self.ask("GET", self._of(flag))["enabled"])

    @asynccontextmanager
    async def held(self, flag: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Have nobody write the flag's strategies, though they read them, while the body runs.

        It is given what waits for so many to wait; they write in the order in which they came.
        """
        postgres = EmbeddedPostgres(self.data_dir)
        with postgres:
            connection = await asyncpg.connect(postgres.create_database("unleash"))
            try:
                async with connection.transaction():
                    lock = "SELECT FROM feature_strategies WHERE feature_name = $1 FOR UPDATE"
                    await connection.execute(lock, flag)

                    async def waiting(count: int) -> None:
                        async def enough() -> bool:
                            return bool(await connection.fetchval(_WAITING) == count)

                        await until(enough)

                    yield waiting
            finally:
                await connection.close()

    def _of(self, flag: str) -> str:
        return f"projects/default/features/{flag}/environments/{ENVIRONMENT}"


def switch_of(unleash: Unleash) -> UnleashSwitch:
    """Return the switch that moves the flags of an Unleash."""
    return UnleashSwitch(api=unleash.address.api, token=unleash.address.admin_token)


@contextmanager
def running_unleash(data_dir: Path, *, port: int = 0) -> Iterator[Unleash]:
    """Run an Unleash, for tests that stop it, too."""
    require_unleash()
    with EmbeddedUnleash(data_dir, port=port) as address:
        yield Unleash(address, data_dir)


def require_unleash() -> None:
    """Skip a test where Unleash cannot run; in CI it fails."""
    try:
        require_programs()
    except ProgramUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
