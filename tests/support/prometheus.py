"""A real Prometheus, and something that it can scrape."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
import urllib3
import yaml
from prometheus_client import CollectorRegistry

from server.admin import AdminServer

_PROGRAM = shutil.which("prometheus")
_PROMTOOL = shutil.which("promtool")

needs_prometheus = pytest.mark.skipif(
    _PROGRAM is None and "CI" not in os.environ,
    reason="prometheus is not installed (Debian: apt install prometheus)",
)
"""Skips a test where there is none; in continuous integration it fails instead."""

SCRAPE_SECONDS = 1.0


class Prometheus:
    """A Prometheus that scrapes once a second; it can be stopped, and started on the same data."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers queries."""
        assert _PROGRAM, "prometheus is not installed"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _PROGRAM,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    "--storage.tsdb.retention.time=100d",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        self._wait()

    def wait_for_targets(self, count: int) -> None:
        """Wait until it has scraped so many; it begins with that about five seconds after start."""
        deadline = time.monotonic() + 30
        while self._targets_up() < count:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, as it should be; what it has scraped stays."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _targets_up(self) -> int:
        answer = urllib3.request("GET", f"{self.url}/api/v1/query?query=sum(up)").json()
        return sum(int(series["value"][1]) for series in answer["data"]["result"])

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "log").read_text()
            try:
                if urllib3.request("GET", f"{self.url}/-/ready", retries=False).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                """It is not there yet."""
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.05)


@contextmanager
def prometheus(
    targets: Mapping[str, Sequence[str]],
    *,
    rules: Path | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
    past: str = "",
) -> Iterator[Prometheus]:
    """Lend a Prometheus that runs; nothing of it is left in the end.

    Args:
        targets: The addresses (host:port) to scrape, by job; Patron's own job is `patron`.
        rules: A file of rules to load.
        labels: What is put on every series.
        past: What it has scraped in the last days, in the format of OpenMetrics.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {
            "global": {
                "scrape_interval": f"{SCRAPE_SECONDS:.0f}s",
                "scrape_timeout": f"{SCRAPE_SECONDS:.0f}s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [{"targets": list(addresses), "labels": dict(labels)}],
                }
                for job, addresses in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        if past:
            _write_past(folder, past)
        running = Prometheus(folder, free_port())
        try:
            running.start()
            yield running
        finally:
            running.stop()


def _write_past(folder: Path, past: str) -> None:
    assert _PROMTOOL, "promtool is not installed"
    (folder / "past").write_text(past)
    # Of two hours each, weeks would take minutes.
    command = ("tsdb", "create-blocks-from", "--max-block-duration=2160h", "openmetrics")
    subprocess.run(
        (_PROMTOOL, *command, "past", "data"), cwd=folder, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def scraped(registry: CollectorRegistry) -> Iterator[str]:
    """Lend the address (host:port) of a server that shows these metrics."""
    with AdminServer(registry=registry, health=_Well) as server:
        yield server.address


class _Well:
    well = True
    status = "ok"

    def details(self) -> Mapping[str, object]:
        return {}


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
