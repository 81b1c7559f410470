"""Unexpected exceptions go to Sentry, without anything personal."""

from typing import TYPE_CHECKING, Any

import sentry_sdk

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_EVENT = (
    "environment",
    "event_id",
    "exception",
    "level",
    "platform",
    "release",
    "sdk",
    "tags",
    "timestamp",
)
_EXCEPTION = ("module", "stacktrace", "type")
_FRAME = ("abs_path", "filename", "function", "in_app", "lineno", "module")


def init_sentry(dsn: str | None, *, environment: str, release: str) -> None:
    """Send what `capture` is given to this project of Sentry; without `dsn` do nothing."""
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release,
        # Integrations hook into logging, requests and the process, and each adds data of its own.
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        enable_backpressure_handling=False,
        enable_metrics=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        send_client_reports=False,
        spotlight=False,
        before_send=_scrub,
    )


def capture(error: BaseException, error_id: str, method: str) -> None:
    """Report an unexpected exception of a call, under the id that the client was told."""
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("error_id", error_id)
        scope.set_tag("method", method)
        scope.capture_exception(error)


def capture_hold(error: BaseException, flag: str) -> None:
    """Report what keeps a rollout from going on."""
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("rollout", flag)
        scope.capture_exception(error)


def close_sentry(timeout: float = 2.0) -> None:
    """Wait at most `timeout` seconds until all is sent; afterwards nothing is sent any more."""
    sentry_sdk.get_client().close(timeout=timeout)
    sentry_sdk.get_global_scope().set_client(None)


def _scrub(event: "Event", _hint: "Hint") -> "Event":
    """Keep the classes, frames and tags, and no text that somebody could have put a name into."""
    kept: Any = _only(_EVENT, event)
    kept["exception"] = {
        "values": [_scrub_exception(error) for error in event["exception"]["values"]]
    }
    return kept  # type: ignore[no-any-return]


def _scrub_exception(error: dict[str, Any]) -> dict[str, Any]:
    kept = _only(_EXCEPTION, error)
    frames = (error.get("stacktrace") or {}).get("frames", [])
    kept["stacktrace"] = {"frames": [_only(_FRAME, frame) for frame in frames]}
    return kept


def _only(keys: tuple[str, ...], of: Any) -> dict[str, Any]:  # noqa: ANN401 - any of Sentry's
    return {key: of[key] for key in keys if key in of}
