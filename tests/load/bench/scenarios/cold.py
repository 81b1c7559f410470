"""`make run` on a prepared machine, to the first answered call.

Prepared: what `make setup` installs is there. The data directory is not: the databases are made.
"""

import shutil
import time
from statistics import median
from typing import Any

import grpc

from server.auth.development import DevelopmentKey
from server.cli.merchants import DEMO_MERCHANT_ID
from server.cli.tokens import all_scopes
from server.settings import Settings
from tests.load.bench.lab import Lab, say
from tests.load.bench.places import FOLDER, LOGS
from tests.load.bench.report import Outcome
from tests.load.world import calls
from tests.load.world.patron import COMMAND
from tests.load.world.processes import accepts, free_port, started

_CALL_SECONDS = 5


def measure(lab: Lab) -> Outcome:
    """Start it again and again, each time without any data, on all cores."""
    taken = []
    with lab.cores.both():
        for turn in range(lab.effort.rounds):
            taken.append(_start())
            say(f"round {turn + 1}: {taken[-1]:.2f} s")
    return Outcome({"cold_start_s": median(taken)}, {"seconds": taken})


def _start() -> float:
    data_dir = FOLDER / "cold"
    shutil.rmtree(data_dir, ignore_errors=True)
    metadata = [("authorization", f"Bearer {_token(data_dir)}")]
    port = free_port()
    begun = time.monotonic()
    with started(
        LOGS / "cold.log",
        [*COMMAND, "--data-dir", str(data_dir), "--port", str(port), "--admin-port", "0"],
        ready=lambda: accepts(port) and _answers(f"127.0.0.1:{port}", metadata),
    ):
        return time.monotonic() - begun


def _token(data_dir: Any) -> str:
    """Return a token of the merchant that the server makes, signed before it starts."""
    settings = Settings.load({}, data_dir=data_dir)
    signer = DevelopmentKey.open(data_dir).signer(
        issuer=settings.auth_issuer, audience=settings.auth_audience
    )
    return signer.sign(
        merchant_id=DEMO_MERCHANT_ID, subject="bench", scopes=all_scopes(), lifetime=600
    )


def _answers(target: str, metadata: list[tuple[str, str]]) -> bool:
    with grpc.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(calls.path("ListCustomers"))
        try:
            call(
                calls.list_customers().SerializeToString(), metadata=metadata, timeout=_CALL_SECONDS
            )
        except grpc.RpcError:
            return False
    return True
