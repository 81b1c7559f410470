"""Every RPC says what it needs, in the contract."""

import re

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from patron.options.v1.options_pb2 import (
    RATE_LIMIT_CLASS_UNSPECIFIED,
    MethodPolicy,
    policy,
)
from server.cache.redis_cache import _REVISION_MS
from tests.support.contract import methods


def policy_of(method: MethodDescriptor) -> MethodPolicy:
    """Return what the contract says of the RPC."""
    return method.GetOptions().Extensions[policy]


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_declares_scope_and_class(method: MethodDescriptor) -> None:
    """Every RPC declares the scope that it needs and the budget that it counts against."""
    declared = policy_of(method)

    assert re.fullmatch(r"[a-z]+\.(read|write)", declared.scope)
    assert declared.rate_limit_class != RATE_LIMIT_CLASS_UNSPECIFIED


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_only_reads_are_cached(method: MethodDescriptor) -> None:
    """An answer may be cached only of an RPC without side effects, which has a reading scope."""
    reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS

    assert reads == policy_of(method).scope.endswith(".read")
    assert reads or not policy_of(method).HasField("cache_ttl")


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_no_answer_outlives_its_revision(method: MethodDescriptor) -> None:
    """Redis remembers a revision for longer than any answer lives that it could make stale."""
    assert policy_of(method).cache_ttl.ToMilliseconds() < _REVISION_MS


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_no_stream_is_gated_yet(method: MethodDescriptor) -> None:
    """A stream ends when its merchant loses the feature, but the gate asks at its beginning alone.

    Whoever gates the first one lets `FeatureGate` end it, and then takes this test away.
    """
    streams = method.client_streaming or method.server_streaming
    assert not (streams and policy_of(method).feature)
