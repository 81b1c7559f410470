"""The load generator on one core, against ghz and against a bare grpc.aio client."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from tests.load.bench.lab import Lab, say
from tests.load.bench.places import LOGS
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.world.errors import NotMeasured
from tests.load.world.processes import accepts, free_port, started
from tests.support.ghz import built_ghz
from tests.support.probe import PROTO, SERVICE
from tests.support.probe.contract import message_class

_SECONDS: Final = 8
_WORKERS: Final = 100
_CONNECTIONS: Final = 10
_NAME: Final = "a"
_SPARE: Final = 0.9
"""Which share of its core the server may use at most: else it would be the server's figure."""
_PATIENCE: Final = 60


def measure(lab: Lab) -> Outcome:
    """Let the generators call in turn, each for as long."""
    seconds = lab.effort.seconds(_SECONDS)
    port = free_port()
    target = f"127.0.0.1:{port}"
    probe = (sys.executable, "-m", "tests.support.probe.server", "--fast", "--port", str(port))
    with lab.cores.both():
        ghz = built_ghz()
    generators: dict[str, Callable[[], float]] = {
        "patron-load": lambda: _reported((sys.executable, "-m", "load.cli"), target, seconds),
        "bare grpcio": lambda: _bare(target, seconds),
    }
    if ghz:
        generators["ghz"] = lambda: _reported((str(ghz),), target, seconds)
    rates: dict[str, list[float]] = {name: [] for name in generators}
    command = lab.cores.for_server(probe)
    with started(LOGS / "probe.log", command, ready=lambda: accepts(port)) as server:
        for turn in range(lab.effort.rounds):
            for name, generate in generators.items():
                before = _used(server)
                rates[name].append(generate())
                busy = (_used(server) - before) / seconds
                if busy > _SPARE:
                    raise NotMeasured(f"the server was busy for {busy:.0%} of {name}'s time")
            now = ", ".join(f"{name} {taken[-1]:,.0f}/s" for name, taken in rates.items())
            say(f"round {turn + 1}: {now}")
    ours = rates["patron-load"]
    return Outcome(
        {
            "generator_vs_ghz": median_ratio(ours, rates["ghz"]) if ghz else None,
            "generator_vs_bare_grpcio": median_ratio(ours, rates["bare grpcio"]),
        },
        {"calls_per_second": rates, "seconds": seconds},
    )


def _reported(program: Sequence[str], target: str, seconds: float) -> float:
    """Return how many calls per second a report tells of."""
    asked = ["--insecure", "--proto", str(PROTO), "--call", f"{SERVICE}/Echo", "--cpus", "1"]
    asked += ["-c", str(_WORKERS), "--connections", str(_CONNECTIONS), "-z", f"{seconds}s"]
    asked += ["-d", json.dumps({"name": _NAME}), "-O", "json", target]
    report = json.loads(_run([*program, *asked], seconds))
    # Those in flight in the end are cut off.
    answered: int = report["statusCodeDistribution"].get("OK", 0)
    if answered < report["count"] - _WORKERS:
        raise NotMeasured(f"calls have failed: {report['errorDistribution']}")
    return answered / float(report["total"]) * 1e9


def _bare(target: str, seconds: float) -> float:
    message = message_class("EchoRequest")(name=_NAME).SerializeToString()
    floor = [sys.executable, "-m", "tests.load.floors.grpcio_client"]
    return float(_run([*floor, target, f"/{SERVICE}/Echo", message.hex(), str(seconds)], seconds))


def _run(command: Sequence[str], seconds: float) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + _PATIENCE
    )
    if done.returncode:
        raise NotMeasured(f"{Path(command[0]).name} has failed:\n{done.stderr}")
    return done.stdout


def _used(server: psutil.Process) -> float:
    """Return how many seconds of a core a process and its children have used."""
    seconds = 0.0
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds
