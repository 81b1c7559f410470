"""Patron as it is served: the real command."""

import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import grpc
import psutil
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client.parser import text_string_to_metric_families

from tests.load.world.databases import Databases
from tests.load.world.errors import NotMeasured
from tests.load.world.placement import Placement
from tests.load.world.processes import family, free_port, started

COMMAND: Final = (sys.executable, "-m", "server.cli", "serve")
_HEALTH_SECONDS = 2
_METRICS_SECONDS = 5
_SETTLE_SECONDS = 5

# The limits are on, but nobody meets them: all that they cost is measured.
_SETTINGS = {
    "PATRON_WORKERS": "1",
    **{f"PATRON_RATE_LIMIT_{kind}": "10000000" for kind in ("READ", "WRITE", "ANALYTICS", "BULK")},
}


@dataclass(frozen=True, slots=True)
class Patron:
    """A server that runs."""

    process: psutil.Process
    port: int
    admin_port: int

    @property
    def target(self) -> str:
        """Where gRPC is served."""
        return f"127.0.0.1:{self.port}"

    def answered(self, method: str) -> int:
        """Return how many calls of a method ended well so far, as the server counts."""
        url = f"http://127.0.0.1:{self.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=_METRICS_SECONDS) as answer:
            text = answer.read().decode()
        return sum(
            int(sample.value)
            for metric in text_string_to_metric_families(text)
            for sample in metric.samples
            if sample.name == "grpc_server_handled_total"
            and sample.labels["grpc_method"] == method
            and sample.labels["grpc_code"] == "OK"
        )

    def expect_answered(self, method: str, since: int, calls: int) -> None:
        """Check that this many more calls ended well than the `since` before.

        Raises:
            NotMeasured: They did not.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        # The end of a call is counted after its answer is sent.
        while (well := self.answered(method) - since) != calls and time.monotonic() < deadline:
            time.sleep(0.05)
        if well != calls:
            raise NotMeasured(f"of {calls} calls of {method}, {well} were answered well")

    def worker(self) -> psutil.Process:
        """Return the process that serves calls: the one that listens, the largest of several."""
        listening = [
            process
            for process in family(self.process)
            if any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
                for connection in process.net_connections("tcp")
            )
        ]
        return max(listening, key=lambda process: process.memory_info().rss)


@contextmanager
def serving(
    name: str,
    databases: Databases,
    placement: Placement,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Patron]:
    """Serve with one worker; its log is in `logs`, beside the data of the databases.

    Raises:
        NotMeasured: It isn't ready in time, or a process is not in its place.
    """
    port, admin_port = free_port(), free_port()
    environment = {
        "PATRON_DATA_DIR": str(databases.data_dir),
        "PATRON_DATABASE_URL": databases.urls.serving,
        "PATRON_DATABASE_OWNER_URL": databases.urls.owner,
        "PATRON_DATABASE_MAINTENANCE_URL": databases.urls.maintenance,
        "PATRON_REDIS_URL": databases.redis_url,
        "PATRON_PORT": str(port),
        "PATRON_ADMIN_PORT": str(admin_port),
        **_SETTINGS,
        **settings,
    }
    with started(
        databases.data_dir.with_name("logs") / f"{name}.log",
        placement.for_server(COMMAND),
        ready=lambda: answers_health(f"127.0.0.1:{port}"),
        environment=environment,
    ) as process:
        placement.check(servers=family(process), databases=databases.processes())
        yield Patron(process, port, admin_port)


def answers_health(target: str) -> bool:
    """Return whether the server there says that it serves."""
    with grpc.insecure_channel(target) as channel:
        health: Any = HealthStub(channel)
        try:
            answer = health.Check(HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)
