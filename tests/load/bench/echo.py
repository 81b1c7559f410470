"""The floors of a cached answer: bare servers that answer the message they were sent."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.protobuf.wrappers_pb2 import BytesValue

from tests.load.bench.machine import Cores
from tests.load.bench.places import FOLDER, GO_FLOOR, LOGS
from tests.load.world.errors import NotMeasured
from tests.load.world.processes import accepts, free_port, started

METHOD: Final = "/patron.bench.Echo/Echo"
_BUILD_SECONDS = 300


def message(size: int) -> bytes:
    """Return an encoded message of exactly so many bytes; both floors parse and serialize it."""
    overhead = len(BytesValue(value=bytes(size)).SerializeToString()) - size
    encoded = BytesValue(value=bytes(size - overhead)).SerializeToString()
    if len(encoded) != size:
        raise NotMeasured(f"no message has {size} bytes")
    return encoded


@contextmanager
def bare_grpcio(cores: Cores) -> Iterator[str]:
    """Lend the address of a bare grpc.aio server."""
    port = free_port()
    command = [sys.executable, "-m", "tests.load.floors.grpcio_echo", str(port)]
    with started(LOGS / "bare-grpcio.log", cores.for_server(command), ready=lambda: accepts(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def bare_grpc_go(cores: Cores) -> Iterator[str | None]:
    """Lend the address of a bare grpc-go server; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        yield None
        return
    program = FOLDER / "echo"
    with cores.both():
        built = subprocess.run(
            [go, "build", "-o", program, "."],
            cwd=GO_FLOOR,
            check=False,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
        )
    if built.returncode:
        raise NotMeasured(f"the floor in Go cannot be built:\n{built.stderr}")
    port = free_port()
    command = [str(program), "-port", str(port)]
    with started(LOGS / "bare-grpc-go.log", cores.for_server(command), ready=lambda: accepts(port)):
        yield f"127.0.0.1:{port}"
