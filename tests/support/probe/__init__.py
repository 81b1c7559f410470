"""A gRPC server of known behaviour, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import grpc

from tests.support.probe.contract import message_class

if TYPE_CHECKING:
    # Each process of a run imports this module, and none of them needs what makes certificates.
    from tests.support.certificates import Authority

PROTO: Final = Path(__file__).with_name("probe.proto")
SERVICE: Final = "probe.v1.Probe"
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Probe:
    """A server that runs."""

    target: str
    process: int
    """Its id."""
    authority: bytes | None = None
    """The certificate of who has signed its own, as PEM; None: plaintext."""

    def tell(self, *, forget: bool = False) -> Any:
        """Return what was called, as a `TellReply`; from then on since now, if it is to forget."""
        with self._channel() as channel:
            tell: Any = channel.unary_unary(
                f"/{SERVICE}/Tell",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=message_class("TellReply").FromString,
            )
            return tell(message_class("TellRequest")(forget=forget), timeout=10)

    def _channel(self) -> grpc.Channel:
        if self.authority is None:
            return grpc.insecure_channel(self.target)
        return grpc.secure_channel(self.target, grpc.ssl_channel_credentials(self.authority))

    def calls(self) -> Mapping[str, int]:
        """Return how many calls ended how, such as `{"Echo OK": 90, "Echo Unavailable": 10}`."""
        return dict(self.tell().calls)


@contextmanager
def probe_server(
    *arguments: str, env: Mapping[str, str] | None = None, authority: "Authority | None" = None
) -> Iterator[Probe]:
    """Lend a server; the arguments are those of `python -m tests.support.probe.server --help`.

    With an authority it has a certificate of it.
    """
    with ExitStack() as closing:
        command = [sys.executable, "-m", "tests.support.probe.server", *arguments]
        if authority:
            folder = Path(closing.enter_context(TemporaryDirectory()))
            certificate = authority.issue()
            (folder / "server.key").write_bytes(certificate.key)
            (folder / "server.pem").write_bytes(certificate.chain)
            command += ["--certificates", str(folder)]
        yield closing.enter_context(_started(command, env, authority))


@contextmanager
def _started(
    command: Sequence[str], env: Mapping[str, str] | None, authority: "Authority | None"
) -> Iterator[Probe]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            if process.stdout is None:
                raise AssertionError
            port = process.stdout.readline().strip()
            assert port, f"the probe did not start: {process.wait(_START_SECONDS)}"
            yield Probe(
                f"127.0.0.1:{port}", process.pid, authority.certificate if authority else None
            )
        finally:
            process.terminate()
