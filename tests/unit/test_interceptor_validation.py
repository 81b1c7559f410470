"""What a client is told about a request that breaks the rules of the contract."""

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from buf.validate.validate_pb2 import message as message_rules
from domain.errors import InvalidRequestError, Reason
from patron.bill.v1 import bill_service_pb2 as bill
from server.interceptors.validation import Validation


def refusal(request: Message) -> InvalidRequestError:
    """Return the error of the request."""
    with pytest.raises(InvalidRequestError) as error:
        Validation().check(request)
    return error.value


def test_accepts_a_valid_request() -> None:
    """A request that keeps the rules passes."""
    Validation().check(bill.GetBillRequest(bill_id="0b0e2f0e-3c1c-4a5e-9a57-4b8f2c7ed4c7"))


def test_names_every_field() -> None:
    """Every broken rule is a violation with the path of its field, positions included."""
    request = bill.CreateBillRequest(request_id="1")
    request.bill.currency = "USD"
    for description in ("CD", "CD", ""):
        request.bill.lines.add(description=description, quantity_milli=1000)
    error = refusal(request)

    assert error.reason is Reason.FIELD_INVALID
    assert [violation.field for violation in error.violations] == [
        "request_id",
        "bill.lines[2].description",
    ]
    assert error.message == "request_id: must be a valid UUID"


def test_rule_of_a_whole_list() -> None:
    """A rule of a list names the list."""
    request = bill.ImportBillsRequest()
    for _ in range(2):
        draft = request.bills.add(id="0b0e2f0e-3c1c-4a5e-9a57-4b8f2c7ed4c7", currency="USD")
        draft.lines.add(description="CD", quantity_milli=1000)

    assert [violation.field for violation in refusal(request).violations] == ["bills"]


def test_rule_of_a_whole_message() -> None:
    """A rule of the message itself has no field, and its text is the message of the error."""
    file = FileDescriptorProto(
        name="tests/span.proto",
        package="tests",
        syntax="proto3",
        dependency=["buf/validate/validate.proto"],
    )
    span = file.message_type.add(name="Span")
    for number, name in enumerate(("first", "last"), start=1):
        span.field.add(
            name=name,
            number=number,
            type=FieldDescriptorProto.TYPE_INT32,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    span.options.Extensions[message_rules].cel.add(
        id="span.order",
        message="the last must not be before the first",
        expression="this.first <= this.last",
    )
    pool = descriptor_pool.Default()
    pool.Add(file)
    error = refusal(GetMessageClass(pool.FindMessageTypeByName("tests.Span"))(first=1))

    assert error.message == "the last must not be before the first"
    assert [violation.field for violation in error.violations] == [""]
