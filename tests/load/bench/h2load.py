"""h2load of nghttp2, the load generator of calls that are all the same.

It reads HTTP alone and no grpc-status: whether calls were answered well is for others to see.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.load.world.errors import NotMeasured

CONNECTIONS: Final = 10
STREAMS: Final = 10
"""Calls at once on each connection."""
_TRIAL_CALLS = 500
_LONGEST_SECONDS = 600
_RATE = re.compile(r"finished in .*?, ([0-9.]+) req/s")
_SUCCEEDED = re.compile(r"requests: .* ([0-9]+) succeeded, 0 failed, 0 errored, 0 timeout")


class Load:
    """The load of one method of a server, called again and again with the same request."""

    def __init__(self, folder: Path, target: str, path: str, request: bytes, token: str) -> None:
        """Prepare the load.

        Args:
            folder: Where the request is kept.
            target: The server, as host:port.
            path: The method, such as `/patron.bill.v1.BillService/GetBill`.
            request: The request's bytes.
            token: What authorizes the calls.
        """
        if shutil.which("h2load") is None:
            raise NotMeasured("h2load is missing: install nghttp2-client (Debian) or nghttp2")
        self._body = folder / f"{path[1:].replace('/', '.')}.bin"
        self._body.parent.mkdir(parents=True, exist_ok=True)
        # A message on the wire: not compressed, its length, itself.
        self._body.write_bytes(b"\0" + len(request).to_bytes(4, "big") + request)
        self._url = f"http://{target}{path}"
        self._token = token

    def calls_in(self, seconds: float) -> int:
        """Return how many calls take about so long, by trying some."""
        return max(_TRIAL_CALLS, int(self.run(_TRIAL_CALLS) * seconds))

    def run(self, calls: int) -> float:
        """Make so many calls and return how many were answered a second.

        Raises:
            NotMeasured: Some failed, as far as HTTP tells.
        """
        try:
            outcome = subprocess.run(
                self._command(calls),
                check=True,
                capture_output=True,
                text=True,
                timeout=_LONGEST_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NotMeasured(f"h2load failed: {error}") from error
        succeeded, rate = _SUCCEEDED.search(outcome.stdout), _RATE.search(outcome.stdout)
        if succeeded is None or rate is None or int(succeeded[1]) != calls:
            raise NotMeasured(f"not all calls of {self._url} succeeded:\n{outcome.stdout}")
        return float(rate[1])

    def _command(self, calls: int) -> Sequence[str]:
        return [
            *("h2load", "-c", str(CONNECTIONS), "-m", str(STREAMS), "-n", str(calls)),
            *("-d", str(self._body)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            *("-H", f"authorization: Bearer {self._token}", self._url),
        ]
