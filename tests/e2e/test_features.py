"""What an app is told of features, and what it says of them."""

import json
from pathlib import Path
from typing import Any

import grpc
from prometheus_client.parser import text_string_to_metric_families

from flags.deciding import SHIPPED_FLAGS
from patron.feature.v1.feature_pb2 import (
    FEATURE_REASON_ALWAYS_ON,
    FEATURE_REASON_SWITCHED_OFF,
)
from patron.feature.v1.feature_service_pb2 import GetFeaturesRequest
from tests.support.bills import trailers
from tests.support.chain_server import refusal
from tests.support.drafts import FEATURE, VALID, feedback
from tests.support.service import Client, Service, served


async def ratings(service: Service) -> dict[tuple[str, str], float]:
    """Return how often which rating was counted, by arm and rating."""
    shown = await service.ask_admin("/metrics")
    return {
        (sample.labels["arm"], sample.labels["rating"]): sample.value
        for family in text_string_to_metric_families(shown)
        if family.name == "patron_feedback_ratings"
        for sample in family.samples
        if sample.labels["feature"] == FEATURE
    }


async def rises(service: Service, before: dict[tuple[str, str], float]) -> dict[Any, float]:
    """Return by how much which count has risen."""
    after = await ratings(service)
    return {key: value - before[key] for key, value in after.items() if value > before[key]}


async def test_features(client: Client) -> None:
    """Every gating feature is told, why the merchant has it, and for how long that holds."""
    answer = await client.features.GetFeatures(GetFeaturesRequest())

    [feature] = answer.features
    assert (feature.name, feature.enabled) == (FEATURE, True)
    assert feature.reason == FEATURE_REASON_ALWAYS_ON
    assert answer.refresh_interval.ToSeconds() == 15


async def test_a_feature_that_is_off(service: Service, tmp_path: Path) -> None:
    """GetFeatures and the gate agree, and a merchant without the feature may rate it."""
    flags = json.loads(SHIPPED_FLAGS.read_text())
    flags["features"][0]["enabled"] = False
    (tmp_path / "flags.json").write_text(json.dumps(flags))
    options = {
        "database_url": service.urls.serving,
        "flags_file": tmp_path / "flags.json",
        "flags_refresh_seconds": 7,
    }
    async with served(tmp_path, service.urls, **options) as off, off.client() as client:
        answer = await client.features.GetFeatures(GetFeaturesRequest())
        refused = await refusal(client.analytics.GetSummary(VALID["GetSummary"]()))
        await client.features.SendFeedback(feedback(1))
        counted = await ratings(off)

    [feature] = answer.features
    assert (feature.enabled, feature.reason) == (False, FEATURE_REASON_SWITCHED_OFF)
    assert answer.refresh_interval.ToSeconds() == 7
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FEATURE_DISABLED",
    )
    assert {key for key, value in counted.items() if value} == {("control", "1")}


async def test_feedback(service: Service, client: Client) -> None:
    """Feedback is answered as it is kept, and counts once; every rating shows from the start."""
    before = await ratings(service)
    sent = feedback(2, comment="slow")
    call = client.features.SendFeedback(sent)
    answer = await call
    again = client.features.SendFeedback(sent)

    assert await again == answer
    assert (await trailers(again))["patron-replayed"] == "true"
    assert (await trailers(call))["patron-revision"] == answer.revision
    assert (answer.feedback.rating, answer.feedback.comment) == (2, "slow")
    assert answer.feedback.send_time.seconds > 0
    assert await rises(service, before) == {("treatment", "2"): 1}
    assert before.keys() == {
        (arm, str(rating)) for arm in ("treatment", "control") for rating in range(1, 6)
    }


async def test_another_request_of_the_same_id(service: Service, client: Client) -> None:
    """A request id stands for one request."""
    sent, other = feedback(2), feedback(3)
    other.request_id = sent.request_id
    await client.features.SendFeedback(sent)
    before = await ratings(service)
    refused = await refusal(client.features.SendFeedback(other))

    assert refused.reason == "REQUEST_ID_REUSED"
    assert await rises(service, before) == {}


async def test_many_of_one_person(service: Service, client: Client) -> None:
    """Whoever rates again replaces what they said, and counts no second time."""
    before = await ratings(service)
    for rating in (5, 4, 1):
        answer = await client.features.SendFeedback(feedback(rating))
        assert answer.feedback.rating == rating
    async with service.database() as database:
        kept = await database.fetch(
            "SELECT rating FROM feedback WHERE merchant_id = $1", client.merchant_id
        )

    assert [row["rating"] for row in kept] == [1]
    assert await rises(service, before) == {("treatment", "5"): 1}


async def test_people_and_merchants_count_apart(service: Service, client: Client) -> None:
    """A second person, and one of another merchant, count too."""
    before = await ratings(service)
    async with (
        service.client(client.merchant_id, subject="another") as colleague,
        service.client() as stranger,
    ):
        for each in (client, colleague, stranger):
            await each.features.SendFeedback(feedback(3))

    assert await rises(service, before) == {("treatment", "3"): 3}


async def test_unknown_feature(client: Client) -> None:
    """What gates nothing is no feature."""
    refused = await refusal(client.features.SendFeedback(feedback(feature="free-beer")))

    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "FEATURE_NOT_FOUND")
