"""Whatever bytes and messages come, a call ends in an answer or in a documented code."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bench import Bench, assert_documented, open_bench
from tests.support.chain_server import Refusal
from tests.support.drafts import VALID
from tests.support.fields import places, put
from tests.support.service import Service
from tests.support.wire import METHODS

SCALARS: Final = (
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_ENUM,
)
TEXTS: Final = st.one_of(
    # Few ids, so that they meet again.
    st.sampled_from([f"0b0e2f0e-3c1c-4a5e-9a57-4b8f2c7ed4c{n}" for n in range(4)]),
    st.sampled_from(
        [
            *("", " ", "\0", "*", "USD", "EUR", "name", "phone", "bills", "\u202e\ufeff\uffff"),
            *("0001-01-01", "1970-01-01", "2025-03-10", "2026-02-30", "9999-12-31", "9999-12"),
            *(
                "+14155550123",
                "(415) 555-0124",
                "tel:+1;ext=5",
                "0B0E2F0E-3C1C-4A5E-9A57-4B8F2C7ED4C0",
            ),
        ]
    ),
    st.text(max_size=70),
)
NUMBERS: Final = st.one_of(
    st.sampled_from([0, 1, -1, 999, 1000, 10**9, 10**12, 10**13, 253_402_300_799]),
    st.integers(-(2**63), 2**63 - 1),
)
SMALL_NUMBERS: Final = st.one_of(st.integers(-1, 6), st.integers(-(2**31), 2**31 - 1))


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Return values of the type of a field."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXTS
    return NUMBERS if field.type == FieldDescriptor.TYPE_INT64 else SMALL_NUMBERS


@st.composite
def any_messages(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    """Return messages of a type, with anything in their fields."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if not draw(st.booleans()):
            continue
        inner = field.message_type
        value = any_messages(inner) if inner is not None else values(field)
        target = getattr(message, field.name)
        if field.is_repeated:
            target.extend(draw(st.lists(value, max_size=2)))
        elif inner is not None:
            target.CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message


@st.composite
def spoilt(draw: st.DrawFn, method: MethodDescriptor) -> Message:
    """Return requests that are valid but for a few fields."""
    request = VALID[method.name]()
    fields = list(places(method.input_type, *SCALARS))
    some = st.lists(st.sampled_from(fields), max_size=2) if fields else st.just([])
    for place in draw(some):
        put(request, place, draw(values(place[-1])))
    return request


def payloads(method: MethodDescriptor) -> st.SearchStrategy[list[bytes]]:
    """Return what to send to a method: one request, or some in a stream."""
    requests = st.one_of(spoilt(method), spoilt(method), any_messages(method.input_type))
    sent = requests.map(lambda request: request.SerializeToString())
    payload = st.one_of(
        sent,
        sent,
        st.tuples(sent, st.binary(min_size=1, max_size=8), st.integers(0, 200)).map(
            lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
        ),
        st.binary(max_size=64),
    )
    few = 3 if method.client_streaming else 1
    return st.lists(payload, min_size=0 if few > 1 else 1, max_size=few)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(service: Service) -> AsyncIterator[Bench]:
    """A shop to fuzz."""
    async with open_bench(service) as bench:
        yield bench


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_only_documented_codes(
    bench: Bench, method: MethodDescriptor, data: st.DataObject
) -> None:
    """Random bytes, random messages and valid ones with random fields end as documented."""
    requests = data.draw(payloads(method))
    try:
        await bench.wire.send(method, *requests)
    except grpc.aio.AioRpcError as error:
        assert_documented(Refusal(error))
