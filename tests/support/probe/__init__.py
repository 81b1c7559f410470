"""A gRPC server of known behaviour, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from tests.support.probe.contract import message_class

PROTO: Final = Path(__file__).with_name("probe.proto")
SERVICE: Final = "probe.v1.Probe"
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Probe:
    """A server that runs."""

    target: str
    process: int
    """Its id."""

    def tell(self) -> Any:
        """Return what was called, as a `TellReply`."""
        with grpc.insecure_channel(self.target) as channel:
            tell: Any = channel.unary_unary(
                f"/{SERVICE}/Tell",
                request_serializer=lambda _: b"",
                response_deserializer=message_class("TellReply").FromString,
            )
            return tell(None, timeout=10)

    def calls(self) -> Mapping[str, int]:
        """Return how many calls ended how, such as `{"Echo OK": 90, "Echo Unavailable": 10}`."""
        return dict(self.tell().calls)


@contextmanager
def probe_server(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Probe]:
    """Lend a server; the arguments are those of `python -m tests.support.probe.server --help`."""
    command: Sequence[str] = [sys.executable, "-m", "tests.support.probe.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            if process.stdout is None:
                raise AssertionError
            port = process.stdout.readline().strip()
            assert port, f"the probe did not start: {process.wait(_START_SECONDS)}"
            yield Probe(f"127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
