"""What the workers' own admin servers answer."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPException

from server.workers.slot import WorkerStatus


def fetch(workers: Iterable[WorkerStatus], path: str, *, patience: float) -> dict[int, str]:
    """Ask all workers that serve, or have just stopped to, for a path, at once.

    Returns:
        The bodies of the answers, whatever their status, by the worker's number. Who does not
        answer within `patience` seconds is left out.
    """
    admins = {worker.number: worker.admin for worker in workers if worker.admin}
    if not admins:
        return {}
    with ThreadPoolExecutor(len(admins)) as pool:
        bodies = pool.map(partial(_get, path=path, patience=patience), admins.values())
        return {
            number: body for number, body in zip(admins, bodies, strict=True) if body is not None
        }


def _get(admin: str, *, path: str, patience: float) -> str | None:
    connection = HTTPConnection(admin, timeout=patience)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
