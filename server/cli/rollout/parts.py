"""What the commands of a rollout work with.

A `Move` is carried out by `flags.rollout.moving.carry_out`, and by nothing else.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from server.cli.databases import maintenance_database
from server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from flags.rollout.plan import Plan
    from flags.rollout.prometheus import PrometheusEvidence
    from flags.rollout.unleash_admin import UnleashSwitch
    from server.storage.rollouts import PostgresRollouts


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one flag."""

    plan: "Plan"
    switch: "UnleashSwitch"
    evidence: "PrometheusEvidence | None"
    """None: no setting says where Prometheus is."""
    database_url: str

    def store(self) -> "AbstractAsyncContextManager[PostgresRollouts]":
        """Lend the store; it connects when it is used."""
        from server.storage.rollouts import PostgresRollouts

        return PostgresRollouts.connect(self.database_url)


@contextmanager
def open_parts(settings: Settings, flag: str, *, create: bool = True) -> Iterator[Parts]:
    """Lend the parts of a flag. It must not be called in an event loop.

    An embedded database is created unless `create` is off: then there being none is a Failure.

    Raises:
        PlanError: The flag has no rollout file, or one that makes no sense.
        SettingsError: A setting is missing.
        EmbeddedError: The embedded database cannot run.
    """
    plan = find_plan(settings, flag)
    switch = unleash_switch(settings)
    evidence = prometheus_evidence(settings, plan) if settings.prometheus_url else None
    with maintenance_database(settings, create=create) as url:
        yield Parts(plan, switch, evidence, url)


def find_plan(settings: Settings, flag: str) -> "Plan":
    """Return the plan of a flag.

    Raises:
        PlanError: It has no rollout file, or one that makes no sense.
    """
    from flags.rollout.plan import PlanError, load_plan

    folder = rollouts_folder(settings)
    file = folder / f"{flag}.yaml"
    if file.parent != folder or not file.is_file():
        raise PlanError(f"{folder} has no rollout file {flag}.yaml")
    plan = load_plan(file)
    if plan.flag != flag:
        raise PlanError(f"{file}: flag: is {plan.flag}, not the name of the file")
    return plan


def rollouts_folder(settings: Settings) -> Path:
    """Return where the rollout files are."""
    return settings.rollouts_dir or Path(str(files("flags"))) / "rollouts"


def unleash_switch(settings: Settings) -> "UnleashSwitch":
    """Return what moves flags.

    Raises:
        SettingsError: A setting is missing.
    """
    from flags.rollout.unleash_admin import UnleashSwitch

    if settings.unleash_url is None:
        raise SettingsError(
            "PATRON_UNLEASH_URL",
            "is required: it is where the flag is. In development `make unleash` prints what to "
            "set.",
        )
    if settings.unleash_admin_token is None:
        raise SettingsError("PATRON_UNLEASH_ADMIN_TOKEN", "is required to move a flag")
    return UnleashSwitch(
        api=settings.unleash_url,
        token=settings.unleash_admin_token,
        project=settings.unleash_project,
        environment=settings.unleash_environment,
    )


def prometheus_evidence(settings: Settings, plan: "Plan") -> "PrometheusEvidence":
    """Return where the evidence for a plan comes from.

    Raises:
        SettingsError: No setting says where Prometheus is.
    """
    from flags.rollout.prometheus import PrometheusEvidence

    if settings.prometheus_url is None:
        raise SettingsError("PATRON_PROMETHEUS_URL", "is required to judge a rollout")
    return PrometheusEvidence(plan, settings.prometheus_url)
