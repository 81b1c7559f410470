"""Every field of the contract has a rule, and every rule works."""

import protovalidate
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from buf.validate.validate_pb2 import field as rules
from tests.support.contract import messages


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.name)
def test_every_field_has_a_rule(message: Descriptor) -> None:
    """Every field of every message says by a rule what it accepts."""
    without = [f.name for f in message.fields if not f.GetOptions().HasExtension(rules)]

    assert without == []


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.name)
def test_rules_compile(message: Descriptor) -> None:
    """Every rule of every message can be evaluated."""
    protovalidate.Validator().collect_violations(GetMessageClass(message)())
