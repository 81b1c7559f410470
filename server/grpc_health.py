"""The health that clients and load balancers ask for by gRPC."""

import asyncio
from collections.abc import Iterable
from typing import Any

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse


class ServingHealth(aio.HealthServicer):
    """`grpc.health.v1.Health` of a server whose services are all served, or none is.

    Unlike the library's, its watches end with the server: each would keep it up for the whole time
    of grace. And a client that doesn't read what its watch is told holds up nobody else.
    """

    def __init__(self, services: Iterable[str]) -> None:
        """Answer for these services, and for the whole server, whose name is empty."""
        super().__init__()
        self._services = frozenset(("", *services))
        self._serving = False
        self._over = False
        self._changed = asyncio.Event()

    async def tell(self, *, serving: bool) -> None:
        """Say SERVING from now on, or NOT_SERVING."""
        self._serving = serving
        for service in self._services:
            await self.set(service, self._status(service))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def close(self) -> None:
        """Say NOT_SERVING, and end every watch once it has been told."""
        self._over = True
        await self.tell(serving=False)

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:  # noqa: ANN401, N802
        """Send the status now and whenever it changes, until the server closes."""
        told = None
        while True:
            # Taken before the status, so that no change after it is missed.
            changed = self._changed
            status = self._status(request.service)
            if status != told:
                await context.write(HealthCheckResponse(status=status))
                told = status
            if changed is self._changed:
                if self._over:
                    return
                await changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
