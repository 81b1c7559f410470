"""What the command line says of an error, and how it exits."""

from typing import TYPE_CHECKING

import click

from server.settings import SettingsError

if TYPE_CHECKING:
    import grpc

FAILED = 1
WRONG_USE = 2


class Failure(click.ClickException):
    """An expected error: its message is printed to stderr, without a traceback."""

    exit_code = FAILED


class WrongSettings(Failure):
    """What the environment says makes no sense."""

    exit_code = WRONG_USE


def failure(error: Exception) -> Failure | None:
    """Return what to tell the user of an error, or None if nobody expects such an error."""
    if isinstance(error, SettingsError):
        return WrongSettings(str(error))
    # Only now: nobody shall wait for imports while all goes well.
    import asyncpg
    import grpc

    from domain.errors import PatronError
    from flags.rollout.evidence import EvidenceMissing
    from flags.rollout.phases import MoveRefused
    from flags.rollout.plan import PlanError
    from flags.rollout.ports import (
        FlagChanged,
        FlagUnusable,
        StateChanged,
        StoreUnreachable,
        SwitchUnreachable,
    )
    from server.auth.keys import KeysUnusable
    from server.embedded import EmbeddedError
    from server.storage.errors import StorageError

    if isinstance(error, grpc.RpcError):
        return Failure(describe_rpc_error(error))
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        advice = ": run `patron db migrate`" * isinstance(error, asyncpg.UndefinedTableError)
        return Failure(f"PostgreSQL: {error}{advice}")
    if isinstance(error, ConnectionError):
        return Failure(f"cannot connect: {error.strerror or error}")
    of_rollouts = (
        PlanError,
        MoveRefused,
        EvidenceMissing,
        FlagChanged,
        FlagUnusable,
        SwitchUnreachable,
        StateChanged,
        StoreUnreachable,
    )
    others = (PatronError, EmbeddedError, StorageError, KeysUnusable, OSError)
    return Failure(str(error)) if isinstance(error, (*of_rollouts, *others)) else None


def describe_rpc_error(error: "grpc.RpcError") -> str:
    """Return the code, the text, the reason and the details of a failed call, in one line."""
    from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
    from grpc_status import rpc_status

    code, text = error.code(), error.details()
    words = [f"{code.name}: {text}"]
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info, request, bad = ErrorInfo(), RequestInfo(), BadRequest()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            facts = (f", {name} {value}" for name, value in sorted(info.metadata.items()))
            words.append(info.reason + "".join(facts))
        elif detail.Unpack(request):
            words.append(f"id {request.request_id}")
        elif detail.Unpack(bad):
            words += [f"{field.field} {field.description}" for field in bad.field_violations]
    return "; ".join(words)
