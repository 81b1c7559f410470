"""Logging: one JSON object a line, without the texts of exceptions."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(level: str, **bound: object) -> None:
    """Write every log line of the process to stderr as JSON, from `level` (such as `INFO`) on.

    Each has the values in `bound`. The lines of the standard library's loggers are among them. The
    text of an exception may hold anything, a phone or SQL, so of an exception only its class and
    the places it passed are written.

    Raises:
        ValueError: There is no such level.
    """

    def bind(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, **bound}

    shared: list[Processor] = [
        bind,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _without_arguments, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_values,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers = [handler]
    logging.captureWarnings(capture=True)
    # It tells of every look at the schema.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            *shared,
            _without_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def describe_exception(error: BaseException) -> list[dict[str, object]]:
    """Return what may be written of the exception and of those that caused it, the last one first.

    Of each the class and the frames, as `file:line:function`; nothing of its text.
    """
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        cls = type(current)
        chain.append({"class": f"{cls.__module__}.{cls.__qualname__}", "frames": _frames(current)})
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return chain


class Condition:
    """Whether something works; it is logged when that changes, however often it fails meanwhile."""

    def __init__(
        self, log: structlog.typing.FilteringBoundLogger, *, fails: str, works: str
    ) -> None:
        """Begin with a thing that works; `fails` and `works` are what is logged of a change."""
        self._log = log
        self._fails = fails
        self._works = works
        self._is_failing = False

    def failed(self, error: BaseException) -> None:
        """Tell that it has failed; only the class of the error is logged."""
        if not self._is_failing:
            self._is_failing = True
            self._log.warning(self._fails, kind=type(error).__name__)

    def worked(self) -> None:
        """Tell that it works."""
        if self._is_failing:
            self._is_failing = False
            self._log.info(self._works)


def _frames(error: BaseException) -> list[str]:
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno}:{code.co_name}")
        traceback = traceback.tb_next
    return frames


def _without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its description."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["error"] = describe_exception(error)
    return event


def _without_arguments(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the arguments out of a message that tells of an exception: they often are its text."""
    record: logging.LogRecord = event["_record"]
    if _exception(record.exc_info) is not None:
        # asyncio's message goes on with the representation of the task and its exception.
        event["event"] = str(record.msg).partition("\n")[0]
    return event


def _exception(exc_info: Any) -> BaseException | None:  # noqa: ANN401 - logging takes anything
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1]  # type: ignore[no-any-return]
    return sys.exc_info()[1] if exc_info else None
