"""`python -m tests.load.bench.profile cached`: where a server's time goes under that load.

The whole service runs in this process, under cProfile, with its load from another. The profiler
slows every Python call: the shares count, not the times. What is below Python, `perf` shows of a
worker under the same load.
"""

import asyncio
import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import click
import uvloop

from server.logs import configure_logging
from server.main import running
from server.settings import Settings
from tests.load.bench.h2load import Load
from tests.load.bench.lab import FULL, Lab, open_lab
from tests.load.bench.machine import allow_many_files
from tests.load.bench.places import FOLDER
from tests.load.bench.scenarios.mixed import mixed_group
from tests.load.bench.users import Group, live
from tests.load.world import calls

_MERCHANT = 50
_SECONDS = 10
_FUNCTIONS = 40
_RATE = 10_000_000


def _call_again_and_again(method: str, request: bytes) -> Callable[[Lab, str], None]:
    def load(lab: Lab, target: str) -> None:
        token = lab.world.tokens.of(_MERCHANT)
        repeated = Load(FOLDER, target, calls.path(method), request, token)
        repeated.run(repeated.calls_in(_SECONDS))

    return load


def _mixed(lab: Lab, target: str) -> None:
    live(mixed_group(lab, target))


def _bills(lab: Lab, target: str) -> None:
    tokens = lab.world.tokens.all_of(calls.MERCHANTS)
    billed = list(calls.MERCHANTS)
    live(Group(target, 10, _SECONDS, 1, {"CreateBill": 1}, tokens, billed))


_LOADS: dict[str, Callable[[Lab, str], None]] = {
    "cached": _call_again_and_again("GetSummary", calls.get_summary().SerializeToString()),
    "customers": _call_again_and_again(
        "GetCustomer", calls.get_customer(_MERCHANT, 1).SerializeToString()
    ),
    "bills": _bills,
    "users": _mixed,
}


@click.command()
@click.argument("scenario", type=click.Choice(list(_LOADS)))
@click.option("--transport", type=click.Choice(["native", "grpcio"]), default="native")
def main(*, scenario: str, transport: str) -> None:
    """Print where the time of a server goes under the load of a scenario, by function."""
    allow_many_files()
    profiler = cProfile.Profile()
    with open_lab(FULL) as lab:
        databases = lab.world.databases
        limits = {f"rate_limit_{kind}": _RATE for kind in ("read", "write", "analytics", "bulk")}
        settings = Settings.load(
            {},
            data_dir=databases.data_dir,
            database_url=databases.urls.serving,
            redis_url=databases.redis_url,
            transport=transport,
            port=0,
            admin_port=0,
            **limits,
        )
        configure_logging(settings.log_level.upper())
        with lab.cores.both():
            uvloop.run(_profile(profiler, settings, _LOADS[scenario], lab))
    pstats.Stats(profiler).sort_stats("tottime").print_stats(_FUNCTIONS)


async def _profile(
    profiler: cProfile.Profile, settings: Any, load: Callable[[Lab, str], None], lab: Lab
) -> None:
    async with running(settings) as server:
        profiler.enable()
        await asyncio.to_thread(load, lab, server.target)
        profiler.disable()


if __name__ == "__main__":
    main()
