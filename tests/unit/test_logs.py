"""What a log line holds, and what it never does."""

import asyncio
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server.logs import configure_logging, describe_exception

SECRET = "+14155550123"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines on stderr, each of which is a JSON object."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is a JSON object with its level and the time in UTC, from the asked level on."""
    configure_logging("INFO")
    log = structlog.get_logger()
    log.debug("not this")
    log.info("started", port=50051)

    [line] = lines(capsys)
    assert (line["event"], line["port"], line["level"]) == ("started", 50051, "info")
    assert line["timestamp"].endswith("Z")


def test_writes_the_standard_librarys_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of other libraries, and warnings, look the same and name their logger."""
    configure_logging("INFO")
    logging.getLogger("redis").info("revision %s", 1)
    logging.getLogger("redis").debug("not this")
    logging.getLogger("alembic").info("nor that it looked at the schema")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    revision, warning = lines(capsys)
    assert (revision["event"], revision["logger"], revision["level"]) == (
        "revision 1",
        "redis",
        "info",
    )
    assert revision["timestamp"].endswith("Z")
    assert "DeprecationWarning: old" in warning["event"]


@pytest.mark.parametrize("standard", [True, False], ids=["logging", "structlog"])
def test_writes_no_text_of_exceptions(capsys: pytest.CaptureFixture[str], standard: bool) -> None:
    """Of an exception and its causes the classes and places are written, and no text."""
    configure_logging("INFO")
    try:
        try:
            int(SECRET + "x")
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        if standard:
            told = (type(error), error, error.__traceback__)
            logging.getLogger("lib").log(logging.ERROR, "failed: %s", error, exc_info=told)
        else:
            structlog.get_logger().exception("failed")
            structlog.get_logger().error("failed", exc_info=error)

    for line in lines(capsys):
        assert line["event"].startswith("failed")
        assert [cause["class"] for cause in line["error"]] == [
            "builtins.RuntimeError",
            "builtins.ValueError",
        ]
        assert SECRET not in json.dumps(line)


async def test_writes_no_text_of_lost_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """What asyncio says of a task that nobody awaited holds no text of its exception either."""
    configure_logging("INFO")
    loop = asyncio.get_running_loop()
    error = ValueError(SECRET)
    lost = loop.create_future()
    lost.set_exception(error)
    context = {"message": "never retrieved", "exception": error, "future": lost}
    loop.default_exception_handler(context)
    lost.exception()

    [line] = lines(capsys)
    assert (line["event"], line["logger"]) == ("never retrieved", "asyncio")
    assert line["error"][0]["class"] == "builtins.ValueError"
    assert SECRET not in json.dumps(line)


def test_describes_frames() -> None:
    """A frame is file, line and function, the place of the exception last."""

    def fail() -> None:
        raise ValueError(SECRET)

    with pytest.raises(ValueError, match="1415") as info:
        fail()
    [described] = describe_exception(info.value)

    assert isinstance(described["frames"], list)
    assert described["frames"][-1].endswith(f":{info.tb.tb_next.tb_lineno}:fail")  # type: ignore[union-attr]


def test_describes_circles() -> None:
    """Exceptions that cause each other are described once."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert len(describe_exception(first)) == 2


def test_refuses_unknown_levels() -> None:
    """A level that doesn't exist is refused."""
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("LOUD")


def test_every_line_tells_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    """What is bound is in each line, in those of the standard library's loggers too."""
    configure_logging("INFO", worker=3)
    structlog.get_logger().info("ours")
    logging.getLogger("theirs").warning("theirs")
    assert [(line["event"], line["worker"]) for line in lines(capsys)] == [
        *(("ours", 3), ("theirs", 3))
    ]
