"""The gate of the features in the whole chain, through real channels."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
from prometheus_client import CollectorRegistry

from flags.deciding.features import features_in
from patron.analytics.v1.analytics_pb2 import Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.bill.v1.bill_service_pb2 import GetBillRequest
from tests.support.chain_server import BILL_ID, Served, eventually, refusal, serve, whole_chain
from tests.support.flags import flag, flags_of
from tests.support.tokens import MERCHANT, Issuer

GET_BILL = GetBillRequest(bill_id=BILL_ID)
GET_SUMMARY = GetSummaryRequest(period=Period(from_day="2026-01-01", to_day="2026-01-31"))
FEATURE = "customer-analytics"


@pytest.fixture(params=[grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"])
def transport(request: pytest.FixtureRequest) -> Any:
    """Return what makes a server."""
    return request.param


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return where the metrics of the test are."""
    return CollectorRegistry()


@pytest.fixture
def serving(
    tmp_path: Path, transport: Callable[..., grpc.aio.Server], registry: CollectorRegistry
) -> Iterator[Callable[..., Any]]:
    """Return what serves with flags, and the metadata of a caller."""
    issuer = Issuer(tmp_path)
    bearer = (
        ("authorization", f"Bearer {issuer.token()}"),
        ("patron-app-version", "2.1.0"),
        ("patron-platform", "ios"),
    )

    def with_flags(*told: dict[str, Any], watched: str = FEATURE) -> Any:
        file = tmp_path / "flags.json"
        file.write_text(json.dumps(flags_of(*told)))
        chain = whole_chain(
            registry=registry,
            verifier=issuer.verifier(),
            features=features_in(file),
            watched=watched,
        )
        return serve(transport, chain), bearer

    return with_flags  # type: ignore[return-value]


def ended(registry: CollectorRegistry) -> dict[tuple[str, str, str, str], float]:
    """Return how many calls ended, by method, code, feature and arm."""
    names = ("grpc_method", "grpc_code", "feature", "arm")
    return {
        tuple(sample.labels[name] for name in names): sample.value  # type: ignore[misc]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "grpc_server_handled_total" and sample.value
    }


async def call_all(served: Served, bearer: Any) -> None:
    """Call methods without a feature, a stream among them, and one with a feature."""
    await served.billing.GetBill(GET_BILL, metadata=bearer)
    await served.billing.ImportBills(iter([]), metadata=bearer)
    await served.reports.GetSummary(GET_SUMMARY, metadata=bearer)


async def test_refuses(serving: Any, registry: CollectorRegistry) -> None:
    """Who has not the feature is told so, and counts in no arm; other methods are not gated."""
    server, bearer = serving(flag(FEATURE, enabled=False))
    async with server as served:
        await served.billing.GetBill(GET_BILL, metadata=bearer)
        refused = await refusal(served.reports.GetSummary(GET_SUMMARY, metadata=bearer))

        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.reason == "FEATURE_DISABLED"
        assert dict(refused.info.metadata) == {"feature": FEATURE}
        await eventually(lambda: len(ended(registry)) == 2)
        assert ended(registry) == {
            ("GetBill", "OK", FEATURE, "control"): 1,
            ("GetSummary", "FAILED_PRECONDITION", "", ""): 1,
        }


async def test_treats(serving: Any, registry: CollectorRegistry) -> None:
    """Whoever has the feature is in its treatment with every call."""
    server, bearer = serving(flag(FEATURE, percent=100))
    async with server as served:
        await call_all(served, bearer)

        await eventually(lambda: len(ended(registry)) == 3)
        assert ended(registry) == {
            ("GetBill", "OK", FEATURE, "treatment"): 1,
            ("ImportBills", "OK", FEATURE, "treatment"): 1,
            ("GetSummary", "OK", FEATURE, "treatment"): 1,
        }


async def test_watches_another(serving: Any, registry: CollectorRegistry) -> None:
    """A gated method tells the arms of its own feature, the others those of the watched one."""
    server, bearer = serving(
        flag(FEATURE, percent=100), flag("segments", percent=0), watched="segments"
    )
    async with server as served:
        await call_all(served, bearer)

        await eventually(lambda: len(ended(registry)) == 3)
        assert ended(registry) == {
            ("GetBill", "OK", "segments", "control"): 1,
            ("ImportBills", "OK", "segments", "control"): 1,
            ("GetSummary", "OK", FEATURE, "treatment"): 1,
        }


@pytest.mark.parametrize(
    "constraint, let_in",
    [
        ({"contextName": "userId", "operator": "IN", "values": [str(MERCHANT)]}, True),
        ({"contextName": "userId", "operator": "NOT_IN", "values": [str(MERCHANT)]}, False),
        ({"contextName": "appVersion", "operator": "SEMVER_GT", "value": "2.0.0"}, True),
        ({"contextName": "appVersion", "operator": "SEMVER_GT", "value": "2.1.0"}, False),
        ({"contextName": "platform", "operator": "IN", "values": ["android"]}, False),
    ],
)
async def test_context(serving: Any, constraint: dict[str, Any], let_in: bool) -> None:
    """A flag may ask for merchants, for versions of the application and for platforms."""
    server, bearer = serving(flag(FEATURE, percent=100, constraints=[constraint]))
    async with server as served:
        call = served.reports.GetSummary(GET_SUMMARY, metadata=bearer)
        if let_in:
            await call
        else:
            assert (await refusal(call)).reason == "FEATURE_DISABLED"
