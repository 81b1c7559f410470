"""The errors of the code are those of the contract."""

import ast
from pathlib import Path

import grpc

from domain import errors
from domain.errors import PatronError, Reason
from patron.error.v1 import error_reason_pb2
from server.interceptors.errors import CODES, code_of
from tests.support.contract import documented_codes

ROOT = Path(__file__).parents[2]
PREFIX = "ERROR_REASON_"


def raised() -> set[tuple[str, str]]:
    """Return every pair of an error's class and its reason in the source."""
    pairs = set()
    for folder in ("domain", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Name(id=name) | ast.Attribute(attr=name),
                        args=[ast.Attribute(value=ast.Name(id="Reason"), attr=reason), *_],
                    ) if name in vars(errors):
                        pairs.add((name, reason))
    return pairs


def test_reasons_are_the_enum() -> None:
    """Every reason of the code is in the contract, and the other way round."""
    names = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118 - no mapping

    assert names - {"UNSPECIFIED"} == set(Reason)


def test_every_error_has_a_code() -> None:
    """Every class of errors is in the table itself."""
    assert set(CODES) == set(PatronError.__subclasses__())


def test_a_subclass_has_its_ancestors_code() -> None:
    """An error that is more special than the table gets the code of its nearest ancestor."""
    special = type("CustomerNotFound", (errors.NotFoundError,), {})

    assert code_of(special) == grpc.StatusCode.NOT_FOUND
    assert code_of(PatronError) is None


def test_every_reason_documents_its_code() -> None:
    """Every reason's comment names a code that the errors have."""
    codes = documented_codes()

    assert set(codes) == set(Reason)
    assert set(codes.values()) <= {code.name for code in CODES.values()} | {"INTERNAL"}


def test_reasons_are_raised_with_their_codes() -> None:
    """Wherever an error is made, its class has the code that the contract documents."""
    documented = documented_codes()
    made = raised()

    assert ("UnauthenticatedError", "TOKEN_EXPIRED") in made
    for name, reason in made:
        code = code_of(getattr(errors, name))
        assert code is not None
        assert code.name == documented[reason], f"{name}({reason})"
