"""The operators' port."""

import json
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from server.admin import AdminServer, Page
from server.health import HealthReport


def well() -> HealthReport:
    """Return that all is well."""
    return HealthReport(True, {})


def get(admin: AdminServer, path: str) -> tuple[int, str]:
    """Return status and body of the answer."""
    try:
        with urllib.request.urlopen(f"http://{admin.address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics() -> None:
    """/metrics shows the metrics of the registry that it was given, and no others."""
    registry = CollectorRegistry()
    Counter("bills", "Bills.", registry=registry).inc(3)
    with AdminServer(registry=registry, health=well) as admin:
        status, body = get(admin, "/metrics")

    assert status == 200
    assert "bills_total 3.0" in body
    assert "python_info" not in body


def test_health() -> None:
    """/healthz is 200 while the server can serve, else 503, and tells of each part."""
    reports = iter([HealthReport(True, {"redis": False}), HealthReport(False, {"redis": True})])
    with AdminServer(registry=CollectorRegistry(), health=lambda: next(reports)) as admin:
        healthy = get(admin, "/healthz")
        ill = get(admin, "/healthz")

    assert (healthy[0], ill[0]) == (200, 503)
    assert json.loads(healthy[1]) == {"status": "ok", "parts": {"redis": "failing"}}
    assert json.loads(ill[1]) == {"status": "failing", "parts": {"redis": "ok"}}


def test_further_pages() -> None:
    """A page is what its function returns, with its type and headers, for each request."""
    bodies = iter([b"one", b"two"])
    pages = {"/more": lambda: Page("text/plain", next(bodies), {"Cache-Control": "no-store"})}
    with AdminServer(registry=CollectorRegistry(), health=well, pages=pages) as admin:
        with urllib.request.urlopen(f"http://{admin.address}/more", timeout=5) as answer:
            headers = answer.headers
        second = get(admin, "/more")

    assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/plain", "no-store")
    assert second == (200, "two")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/other"])
def test_nothing_else(path: str) -> None:
    """Any other path is 404."""
    with AdminServer(registry=CollectorRegistry(), health=well) as admin:
        assert get(admin, path)[0] == 404


def test_gives_the_port_back() -> None:
    """A stopped server no longer has its port; one that is taken is refused."""
    with AdminServer(registry=CollectorRegistry(), health=well) as admin:
        host, _, port = admin.address.partition(":")
        with pytest.raises(OSError, match="in use"):
            AdminServer(registry=CollectorRegistry(), health=well, port=int(port))

    assert host == "127.0.0.1"
    with pytest.raises(urllib.error.URLError):
        get(admin, "/healthz")
    with AdminServer(registry=CollectorRegistry(), health=well, port=int(port)) as again:
        assert get(again, "/healthz")[0] == 200
