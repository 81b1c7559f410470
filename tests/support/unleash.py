"""A real Unleash, and what a person does in it, through its Admin API."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from server.embedded import EmbeddedUnleash, ProgramUnavailable, UnleashAddress

ENVIRONMENT = "production"


class Unleash:
    """A running Unleash. Each test works on flags of its own."""

    def __init__(self, address: UnleashAddress) -> None:
        self.address = address
        self._http = urllib3.PoolManager(timeout=10, retries=False)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that asks it, by field."""
        return {"unleash_url": self.address.api, "unleash_token": self.address.client_token}

    @property
    def admin_settings(self) -> dict[str, str]:
        """The settings of a command that moves a rollout in it, by field."""
        return {**self.settings, "unleash_admin_token": self.address.admin_token}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the Admin API, which must succeed; return its answer."""
        response = self._http.request(
            method,
            f"{self.address.api}/admin/{path}",
            json=body,
            headers={"Authorization": self.address.admin_token},
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

    def change(self, flag: str, parameters: Mapping[str, str]) -> None:
        """Change parameters of a flag's only strategy, as a person does: the rest stays."""
        [strategy] = self.strategies(flag)
        operations = [
            {"op": "replace", "path": f"/parameters/{name}", "value": value}
            for name, value in parameters.items()
        ]
        self.ask("PATCH", f"{self._of(flag)}/strategies/{strategy['id']}", operations)

    def set_share(self, flag: str, percent: int) -> None:
        """Set the percentage of a flag that has one strategy, as a person does."""
        self.change(flag, {"rollout": str(percent)})

    def enable(self, flag: str) -> None:
        """Switch a flag on."""
        self.ask("POST", f"{self._of(flag)}/on")

    def disable(self, flag: str) -> None:
        """Switch a flag off."""
        self.ask("POST", f"{self._of(flag)}/off")

    def is_enabled(self, flag: str) -> bool:
        """Return whether a flag is on."""
        return bool(self.ask("GET", self._of(flag))["enabled"])

    def _of(self, flag: str) -> str:
        return f"projects/default/features/{flag}/environments/{ENVIRONMENT}"


@contextmanager
def running_unleash(data_dir: Path, *, port: int = 0) -> Iterator[Unleash]:
    """Run an Unleash, for tests that stop it too; skips without Node or its package, save in CI."""
    embedded = EmbeddedUnleash(data_dir, port=port)
    try:
        address = embedded.__enter__()
    except ProgramUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        yield Unleash(address)
    finally:
        embedded.__exit__(None, None, None)


def require(program: str, package: str) -> str:
    """Return the path of a program; without it the test is skipped, and in CI fails."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed (Debian: apt install {package})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
