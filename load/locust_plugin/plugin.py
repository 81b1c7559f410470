"""What the plugin does while locust runs: it listens to locust's events.

In a distributed test, workers tell the master of their calls with the reports that they send it
anyway. locust's master does not wait for the last of them; so when a test ends it asks each worker
to stop, and to tell of the rest.
"""

import logging
import signal
import sys
import time
from typing import Any, Final

import gevent
import msgspec
from locust.env import Environment
from locust.event import Events
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from load.errors import LoadError
from load.gates import exits
from load.locust_plugin.arguments import add_arguments
from load.locust_plugin.ending import lines, report_of, write
from load.locust_plugin.rows import Part, Rows
from load.locust_plugin.session import Session
from load.locust_plugin.users import check_users
from load.report.model import Report

_KEY: Final = "patron"
"""In the reports of workers."""
_ASK: Final = "patron-stop"
_TELL: Final = "patron-rest"
_MANY: Final = 50_000
"""So many calls are handed on at once where there is no master."""
_PATIENCE: Final = 10
"""For how many seconds a worker that has stopped may take to tell of the rest."""
_GLANCE: Final = 0.02
_RUNNING: Final = ("spawning", "running")
_logger = logging.getLogger(__name__)
_console = logging.getLogger("locust.stats_logger")
"""By which locust prints its statistics."""


def install(events: Events) -> None:
    """Make locust record its calls, and report on them when it ends.

    Args:
        events: Those of locust; listeners are called with them as locust starts.
    """
    reporters: list[_Reporter] = []

    def init(environment: Environment, runner: Runner, **_: object) -> None:
        # The time of gevent's loop stood still during all imports: --run-time would begin by then.
        hub = gevent.get_hub()
        hub.loop.update_now()
        # Python would raise it in whatever a user is doing, such as giving back a lock of gRPC's.
        interrupt = (KeyboardInterrupt, KeyboardInterrupt())
        gevent.signal_handler(signal.SIGINT, hub.handle_system_error, *interrupt)
        try:
            check_users(environment.user_classes, environment.host)
        except LoadError as error:
            _logger.error(error)  # noqa: TRY400 - whoever wrote it needs no traceback.
            sys.exit(1)
        match runner:
            case WorkerRunner():
                _Worker(environment, runner)
            case MasterRunner():
                reporters.append(_Master(environment, runner))
            case _:
                reporters.append(_Single(environment, runner))

    def quitting(**_: object) -> None:
        for reporter in reporters:
            reporter.end()

    def quit_(**_: object) -> None:
        for reporter in reporters:
            reporter.show()

    events.init_command_line_parser.add_listener(add_arguments)
    events.init.add_listener(init)
    # They are called last come, first served: whoever has judged the test before, a threshold wins.
    events.quitting.add_listener(quitting)
    events.quit.add_listener(quit_)


class _Reporter:
    """Keeps the calls of a test in the process that reports on them."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self._environment = environment
        self._runner = runner
        self._session = Session()
        self._most_users = 0
        self._interrupted = False
        self._warnings: list[str] = []
        self._reported: Report | None = None
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.reset_stats.add_listener(self._begin)
        events.spawning_complete.add_listener(self._spawned)
        events.quitting.add_listener(self._interrupt)

    def _begin(self, **_: object) -> None:
        self._session = Session()
        self._warnings = []

    def _spawned(self, user_count: int, **_: object) -> None:
        self._most_users = max(self._most_users, user_count)
        if self._environment.reset_stats:
            self._begin()

    def _interrupt(self, **_: object) -> None:
        if self._runner.state in _RUNNING:
            self._interrupted = True
            self._stop()

    def _stop(self) -> None:
        self._runner.stop()

    def end(self) -> None:
        """Judge the test, write its report, and set the exit code."""
        if self._interrupted:
            reason = "cancel"
        else:
            timed = self._environment.shape_class or getattr(
                self._environment.parsed_options, "run_time", None
            )
            reason = "timeout" if timed else "normal"
        report = report_of(
            self._environment,
            self._session,
            users=self._most_users,
            reason=reason,
            warnings=self._warnings,
        )
        if code := exits.exit_code(report.patron.gates if report.patron else ()):
            self._environment.process_exit_code = code
        if self._environment.parsed_options:
            write(report, self._environment.parsed_options)
        self._reported = report

    def show(self) -> None:
        """Print what the test came to, below locust's own tables."""
        if self._reported:
            for line in lines(self._reported):
                _console.info(line)


class _Single(_Reporter):
    """Makes the calls itself."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        super().__init__(environment, runner)
        self._rows = Rows()
        environment.events.request.add_listener(self._request)

    def _begin(self, **_: object) -> None:
        super()._begin()
        self._rows = Rows()

    def _request(self, **call: Any) -> None:  # noqa: ANN401 - whatever was fired.
        self._rows.add(**call)
        if len(self._rows) >= _MANY:
            self._hand_on()

    def _hand_on(self) -> None:
        self._session.add("local", self._rows.take())

    def end(self) -> None:
        """Judge the test, write its report, and set the exit code."""
        self._hand_on()
        super().end()


class _Master(_Reporter):
    """Is told of all calls by its workers."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        super().__init__(environment, runner)
        self._master = runner
        self._asked: set[str] = set()
        environment.events.worker_report.add_listener(self._report)
        environment.events.test_stop.add_listener(self._ask)
        runner.register_message(_TELL, self._rest)

    def _stop(self) -> None:
        # Workers that are told to stop in locust's way wait for --stop-timeout, deaf to the rest.
        self._master.stop(send_stop_to_client=False)

    def _report(self, client_id: str, data: dict[str, Any], **_: object) -> None:
        if _KEY in data:
            self._add(client_id, data[_KEY])

    def _rest(self, msg: Message, **_: object) -> None:
        self._add(msg.node_id, msg.data[_KEY])
        self._asked.discard(msg.node_id)

    def _add(self, worker: str, part: bytes) -> None:
        self._session.add(worker, msgspec.msgpack.decode(part, type=Part))

    def _ask(self, **_: object) -> None:
        clients = self._master.clients
        lost = [client.id for client in clients.missing if client.id in self._session.processes]
        self._asked = {each.id for each in (*clients.ready, *clients.spawning, *clients.running)}
        for client_id in self._asked:
            self._master.send_message(_ASK, client_id=client_id)
        end = time.monotonic() + self._environment.stop_timeout + _PATIENCE
        while self._asked & set(clients) and time.monotonic() < end:
            gevent.sleep(_GLANCE)
        lost += self._asked & set(clients)
        if lost:
            self._warnings.append(f"The last calls of {len(lost)} workers are missing: {lost}")


class _Worker:
    """Makes calls, and tells the master of them."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self._runner = runner
        self._rows = Rows()
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.request.add_listener(self._request)
        events.report_to_master.add_listener(self._report)
        events.quitting.add_listener(self._quitting)
        runner.register_message(_ASK, self._stop)

    def _begin(self, **_: object) -> None:
        self._rows = Rows()

    def _request(self, **call: Any) -> None:  # noqa: ANN401 - whatever was fired.
        self._rows.add(**call)

    def _report(self, data: dict[str, Any], **_: object) -> None:
        if self._rows:
            data[_KEY] = msgspec.msgpack.encode(self._rows.take())

    def _stop(self, **_: object) -> None:
        self._runner.stop()
        self._runner.send_message(_TELL, {_KEY: msgspec.msgpack.encode(self._rows.take())})

    def _quitting(self, **_: object) -> None:
        # Whoever interrupts a worker gets no other report of its last calls.
        if self._runner.state in _RUNNING:
            self._stop()
