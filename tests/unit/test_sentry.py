"""What is sent to Sentry."""

import time

from server.sentry import capture, close_sentry, init_sentry
from tests.support.sentry_sink import SentrySink

SECRET = "Alice +14155550123"


def test_sends_nothing_personal() -> None:
    """An event has classes, frames, tags and the release, and no text or variable."""
    with SentrySink() as sink:
        init_sentry(sink.dsn, environment="test", release="patron@1")
        name = SECRET
        try:
            int(name)
        except ValueError as error:
            error.add_note(SECRET)
            capture(error, "id", "/service/Method")
        event = sink.wait_for_event()
        close_sentry()

    [error_] = event["exception"]["values"]
    assert error_["type"] == "ValueError"
    assert error_["stacktrace"]["frames"][-1]["function"] == "test_sends_nothing_personal"
    assert event["tags"] == {"error_id": "id", "method": "/service/Method"}
    assert (event["environment"], event["release"]) == ("test", "patron@1")
    assert {"server_name", "user", "request", "breadcrumbs", "extra"}.isdisjoint(event)
    assert "Alice" not in sink.text


def test_does_nothing_without_a_dsn() -> None:
    """Without a DSN nothing is sent and nothing fails."""
    init_sentry(None, environment="test", release="patron@1")
    init_sentry("", environment="test", release="patron@1")
    capture(ValueError(), "id", "/service/Method")
    close_sentry()


def test_closing_is_bounded() -> None:
    """A Sentry that doesn't answer does not keep the server from stopping."""
    init_sentry("http://key@127.0.0.1:9/1", environment="test", release="patron@1")
    capture(ValueError(), "id", "/service/Method")
    begun = time.monotonic()
    close_sentry(timeout=0.2)

    assert time.monotonic() - begun < 2
