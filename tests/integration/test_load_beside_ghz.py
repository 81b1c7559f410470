"""patron-load beside the real ghz: the same reports of the same runs on the same server."""

import asyncio
import csv
import json
import re
import shlex
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.beside_ghz import (
    Both,
    both,
    comparable,
    ended,
    patron_load,
    percentiles,
    real_ghz,
    requests,
    shape,
)
from tests.support.certificates import Authority
from tests.support.probe import PROTO, SERVICE, Probe, probe_server
from tests.support.probe.contract import descriptor_set, message_class

JSON: Final = ("-O", "json")
ECHO: Final = ("--insecure", "--call", f"{SERVICE}/Echo")
EXACT: Final = (
    *("name", "endReason", "options", "count", "tags"),
    *("statusCodeDistribution", "errorDistribution"),
)
NOISE: Final = 0.2
ROUNDS: Final = 3


class Case(NamedTuple):
    """What both are asked for."""

    name: str
    method: str
    arguments: str
    probe: str = ""
    """How the server behaves."""
    tries: int = 1
    """How often to try: what a busy machine delays beyond the end is not made."""


THREE: Final = """-d '[{"name": "a"}, {"name": "b"}, {"name": "c"}]'"""
TICKS: Final = """-d '{"messages": 50, "interval_milliseconds": 20}'"""
ENDLESS: Final = "--stream-call-count 500 --stream-interval 20ms"
TEMPLATES: Final = (
    """-d '{"name": "{{.RequestNumber}} {{.MethodName}}", "tags": ["{{.WorkerID}}"]}'"""
    """ -m '{"Trace": "{{.RequestNumber}}", "token-bin": "AAEC"}'"""
)

QUICK: Final = (
    Case("every tenth fails", "Echo", """-n 200 -c 20 -d '{"name": "a"}'""", "--fail-every 10"),
    Case("templates", "Echo", f"""-n 60 -c 1 --name run --tags '{{"a": "b"}}' {TEMPLATES}"""),
    Case("a client streams", "Collect", f"-n 40 -c 4 {THREE} --stream-call-count 7"),
    Case("a server streams", "Repeat", f"-n 40 -c 4 {TICKS} --stream-call-count 2"),
    Case("both stream", "Chat", f"-n 40 -c 4 {THREE}", "--fail-every 10"),
    Case("cut off", "Echo", "-z 700ms -c 5", "--delay 0.5"),
)
SLOW: Final = (
    Case("messages in turn", "Echo", f"-n 31 -c 1 {THREE}"),
    Case("the first are skipped", "Echo", "-n 60 -c 10 --connections 5 --skipFirst 20"),
    Case("errors count", "Echo", "-n 100 -c 1 --count-errors", "--fail-every 10"),
    Case("all fail", "Echo", "-n 40 -c 4", "--fail-every 1 --code INVALID_ARGUMENT"),
    Case("given up", "Echo", "-n 12 -c 4 -t 100ms", "--delay 1"),
    Case("a rate", "Echo", "-n 60 -c 5 -r 40"),
    Case("a rate for a time", "Echo", "-z 1s -c 5 -r 41", tries=3),
    Case("nobody waits", "Echo", "-n 40 -c 1 -r 40 --async", "--delay 0.3"),
    Case(
        "the rate goes up steps",
        "Echo",
        "-z 2600ms -c 5 --load-schedule step --load-start 20 --load-step 20 --load-end 60"
        " --load-step-duration 1s",
        tries=3,
    ),
    Case(
        "the rate goes up a line",
        "Echo",
        "-z 2600ms -c 5 --load-schedule line --load-start 20 --load-step 20 --load-end 100",
        tries=3,
    ),
    Case(
        "the rate goes down a line",
        "Echo",
        "-n 110 -c 5 --load-schedule line --load-start 60 --load-step=-20 --load-end 20"
        " --load-max-duration 2s",
    ),
    Case(
        "workers come in steps",
        "Echo",
        "-n 90 --concurrency-schedule step --concurrency-start 2 --concurrency-step 2"
        " --concurrency-end 6 --concurrency-step-duration 500ms",
        "--delay 0.1",
    ),
    Case(
        "workers come in a line",
        "Echo",
        "-n 300 --concurrency-schedule line --concurrency-start 2 --concurrency-step 3"
        " --concurrency-end 8",
        "--delay 0.1",
    ),
    Case("waited for", "Echo", "-z 700ms -c 5 --duration-stop wait", "--delay 0.5"),
    Case("left out", "Echo", "-z 700ms -c 5 --duration-stop ignore", "--delay 0.5"),
    Case("at the longest", "Echo", "-x 700ms -c 5", "--delay 0.5"),
    Case("all of a server's messages", "Repeat", """-n 12 -c 4 -d '{"messages": 5}'"""),
    Case("a server for a time", "Repeat", f"-n 8 -c 4 {TICKS} --stream-call-duration 200ms"),
    Case("a stream is given up", "Repeat", f"-n 8 -c 4 {TICKS} -t 100ms"),
    Case("some of a client's messages", "Collect", f"-n 8 -c 4 {THREE} --stream-call-count 2"),
    Case("a client at times", "Collect", f"-n 8 -c 4 {THREE} --stream-interval 50ms"),
    Case(
        "a client for a time",
        "Collect",
        f"-n 8 -c 4 {THREE} --stream-interval 100ms --stream-call-duration 150ms",
    ),
    Case(
        "both for a time",
        "Chat",
        f"-n 8 -c 4 {THREE} --stream-interval 100ms --stream-call-duration 150ms",
    ),
    Case(
        "of a connection",
        "Echo",
        "-n 40 -c 4 --authority shop --max-recv-message-size 1mb --keepalive 10s"
        " --connect-timeout 5s --cpus 1",
    ),
    Case(
        "templates that are none",
        "Echo",
        """-n 40 -c 4 -d '{"name": "{{.RequestNumber}}"}' --disable-template-data""",
    ),
)


def assert_same(done: Both) -> None:
    """Assert that the reports are of the same form, and tell of the same calls."""
    ours, theirs = comparable(done.ours.ran.report), comparable(done.theirs.ran.report)
    assert shape(ours) == shape(theirs)
    assert {key: ours.get(key) for key in EXACT} == {key: theirs.get(key) for key in EXACT}
    assert statuses(ours) == statuses(theirs)
    assert ended(done.ours.seen) == ended(done.theirs.seen)
    assert done.ours.seen.connections == done.theirs.seen.connections
    assert requests(done.ours.seen) == requests(done.theirs.seen)


def statuses(report: Mapping[str, Any]) -> "Counter[str]":
    """Return how often the details of a report have which status."""
    return Counter(each["status"] for each in report["details"])


@pytest.mark.parametrize(
    "case",
    [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)],
    ids=lambda case: case.name,
)
def test_reports_are_the_same(case: Case) -> None:
    """Keys in their order, types, options, counts, statuses and errors; and what the server saw."""
    asked = ("--insecure", "--call", f"{SERVICE}/{case.method}", *shlex.split(case.arguments))
    with probe_server(*case.probe.split()) as probe:
        done = both(probe, *asked, *JSON)
        for _ in range(case.tries - 1):
            if done.ours.ran.report["count"] == done.theirs.ran.report["count"]:
                break
            done = both(probe, *asked, *JSON)
        assert_same(done)


@pytest.mark.parametrize(
    "method,arguments",
    [
        ("Repeat", TICKS),
        pytest.param("Collect", ENDLESS, marks=pytest.mark.slow),
        pytest.param("Chat", ENDLESS, marks=pytest.mark.slow),
    ],
)
def test_streams_are_cut_off_the_same(method: str, arguments: str) -> None:
    """As Go mostly says it: now and then it is the connection that it hears of first."""
    asked = ("--insecure", "--call", f"{SERVICE}/{method}", *shlex.split(arguments))
    with probe_server() as probe:
        done = both(probe, *asked, "-z", "700ms", "-c", "3", *JSON)
    ours, theirs = done.ours.ran.report, done.theirs.ran.report
    assert ours["count"] == theirs["count"] == 3
    assert ours["statusCodeDistribution"] == {"Canceled": 3}
    assert ours["errorDistribution"].keys() <= theirs["errorDistribution"].keys()
    assert requests(done.ours.seen) == requests(done.theirs.seen)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Lend a server that does what it is asked to."""
    with probe_server() as probe:
        yield probe


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make files of all kinds, in the current folder."""
    monkeypatch.chdir(tmp_path)
    messages = [message_class("EchoRequest")(name=name).SerializeToString() for name in "abc"]
    (tmp_path / "other").mkdir()
    (tmp_path / "probe.proto").write_bytes(PROTO.read_bytes())
    (tmp_path / "probe.protoset").write_bytes(descriptor_set())
    (tmp_path / "one.bin").write_bytes(messages[0])
    (tmp_path / "many.bin").write_bytes(b"".join(bytes([len(m)]) + m for m in messages))
    (tmp_path / "data.json").write_text('[{"name": "a"}, {"name": "{{.RequestNumber}}"}]')
    (tmp_path / "metadata.json").write_text('{"trace": "{{.RequestNumber}}"}')
    options = {"insecure": True, "call": f"{SERVICE}.Echo", "total": 20, "concurrency": 2}
    options |= {"proto": "probe.proto", "data-file": "data.json", "timeout": "5s", "name": "n"}
    (tmp_path / "config.json").write_text(json.dumps(options))
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in options.items()]
    (tmp_path / "config.toml").write_text("".join(lines) + '[tags]\na = "b"\n')
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in options.items()]
    (tmp_path / "config.yaml").write_text("".join(lines) + "metadata:\n  trace: x\n")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "--config config.json -n 10 -M metadata.json",
        *(
            pytest.param(arguments, marks=pytest.mark.slow)
            for arguments in (
                "--config config.toml",
                "--config config.yaml",
                f"--insecure --call {SERVICE}/Echo -n 20 -c 2 --protoset probe.protoset",
                f"--insecure --call .{SERVICE}.Echo -n 20 -c 2 --proto probe.proto -i other",
                f"--insecure --call {SERVICE}/Echo -n 20 -c 2 -D data.json -M metadata.json",
                f"--insecure --call {SERVICE}/Echo -n 20 -c 2 -B one.bin",
                f"--insecure --call {SERVICE}/Echo -n 21 -c 1 -B many.bin",
                f"--insecure --call {SERVICE}/Collect -n 20 -c 2 -B many.bin",
            )
        ),
    ],
)
def test_files_are_read_the_same(arguments: str, files: Path, probe: Probe) -> None:
    """Options in all forms, definitions, data, metadata and encoded messages."""
    assert_same(both(probe, *arguments.split(), *JSON))


@pytest.mark.slow
def test_standard_input_is_read_the_same(probe: Probe) -> None:
    """An encoded message; JSON is read by ours alone, while ghz says so and sends none of it."""
    asked = (*ECHO, "-n", "20", "-c", "2", *JSON)
    assert_same(both(probe, *asked, "-b", stdin="\x0a\x03abc"))
    done = both(probe, *asked, "--data=@", stdin='{"name": "abc"}')
    assert [each.request.name for each in done.ours.seen.seen] == ["abc"] * 20
    assert [each.request.name for each in done.theirs.seen.seen] == [""] * 20


@pytest.mark.parametrize(
    "arguments",
    [
        "--cacert ca.pem",
        pytest.param("--cacert ca.pem --cname localhost", marks=pytest.mark.slow),
        pytest.param("--skipTLS", marks=pytest.mark.slow),
    ],
)
def test_tls_is_the_same(arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an authority of one's own, another name, or blind trust."""
    monkeypatch.chdir(tmp_path)
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    asked = ("--call", f"{SERVICE}/Echo", "-n", "20", "-c", "2", *arguments.split())
    with probe_server(authority=authority) as probe:
        assert_same(both(probe, *asked, *JSON))


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked,behaviour",
    [
        ("-n 300 -c 20", ""),
        ("-n 150 -c 20 -r 100", ""),
        ("-n 150 -c 2 -r 100 --async", ""),
        ("-n 300 -c 20 --count-errors --connections 4", "--fail-every 10"),
        (
            "-z 3s -c 10 --load-schedule line --load-start 40 --load-step 20 --load-end 100",
            "",
        ),
    ],
)
def test_times_are_the_same(asked: str, behaviour: str) -> None:
    """The rate and the percentiles, in the calmest of some runs: what disturbs only adds."""
    ours, theirs = [], []
    with probe_server("--delay", "0.05", *behaviour.split()) as probe:
        for _ in range(ROUNDS):
            done = both(probe, *ECHO, *asked.split(), *JSON)
            ours.append(done.ours.ran.report)
            theirs.append(done.theirs.ran.report)
    assert calmest(ours) == pytest.approx(calmest(theirs), rel=NOISE)


def calmest(reports: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    """Return the best that was seen of each time."""
    times = [percentiles(report) for report in reports]
    best = {f"p{percent}": min(each[percent] for each in times) for percent in times[0]}
    averages = {key: min(report[key] for report in reports) for key in ("average", "fastest")}
    return {**best, **averages, "rps": max(report["rps"] for report in reports)}


@dataclass
class Wire:
    """What comes before a server, and counts the bytes on their way to it."""

    target: str
    sent: int = 0


@contextmanager
def wire_to(probe: Probe) -> Iterator[Wire]:
    """Lend a wire to a server."""
    loop = asyncio.new_event_loop()
    host, _, port = probe.target.partition(":")

    async def copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        while chunk := await reader.read(65536):
            wire.sent += len(chunk) * counted
            writer.write(chunk)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection(host, port)
        await asyncio.gather(
            copy(reader, upstream[1], counted=True), copy(upstream[0], writer, counted=False)
        )

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    wire = Wire("127.0.0.1:{1}".format(*server.sockets[0].getsockname()))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.slow
@pytest.mark.parametrize("flags,least,most", [((), 2_000_000, 2_100_000), (("-e",), 1, 100_000)])
def test_messages_are_compressed_the_same(
    flags: Sequence[str], least: int, most: int, probe: Probe
) -> None:
    """To as few bytes on the wire."""
    data = json.dumps({"name": "x" * 100_000})
    asked = (*ECHO, "-n", "20", "-c", "2", "-d", data, *flags, *JSON)
    counts = []
    for command in (patron_load, real_ghz):
        with wire_to(probe) as wire:
            assert command(*asked, wire.target).report["count"] == 20
        counts.append(wire.sent)
    assert least <= min(counts) <= max(counts) <= most


# Formats


def _skeleton(text: str) -> Sequence[str]:
    """Return the lines of a summary without its numbers and bars, and with one unit of time.

    And without our warnings, such as of a machine that was busy.
    """
    text = re.sub(r"\d+(\.\d+)?", "N", text.partition("Warnings:")[0].replace("∎", ""))
    return [re.sub(" +", " ", line) for line in re.sub(r"N (µs|ms|s)\b", "N T", text).split("\n")]


def _csv(text: str) -> Any:
    empty, header, *rows = csv.reader(text.splitlines(), strict=True)
    for milliseconds, _, _ in rows:
        assert float(milliseconds) > 0
    return empty, header, Counter((status, error) for _, status, error in rows)


_KEY: Final = r"(?:[^ ,=\\]|\\.)+"
_VALUE: Final = r'"(?:[^"\\]|\\.)*"|[-\d.e+]+'
_LINE: Final = re.compile(
    rf"({_KEY})((?:,{_KEY}={_KEY})*) ({_KEY}=(?:{_VALUE})(?:,{_KEY}=(?:{_VALUE}))*) (\d+)"
)


def _lines(text: str) -> Any:
    """Return which measurements, tags and fields with their types there are in a line protocol."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        assert matched, line
        measurement, tags, fields, _ = matched.groups()
        found[measurement] += 1
        found.update(f"tag {tag}" for tag in re.findall(rf"({_KEY})={_KEY}", tags))
        for key, value in re.findall(rf"({_KEY})=({_VALUE})", fields):
            found[("text " if value.startswith('"') else "number ") + key] += 1
    return found


def _samples(text: str) -> Any:
    families = text_string_to_metric_families(text)
    return sorted(
        (
            family.name,
            family.type,
            family.documentation,
            Counter(str((sample.name, sorted(sample.labels))) for sample in family.samples),
        )
        for family in families
    )


class _Words(HTMLParser):
    """The words that a page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._unseen += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words += data.split()


def _page(text: str) -> Any:
    """Return which of the words that tell of a run a page has, and how many calls."""
    page = _Words()
    page.feed(text)
    page.close()
    wanted = {"Histogram", "Status", "Errors", "Options", "OK", "Unavailable"}
    return wanted & set(page.words), "100" in page.words, "90" in page.words


PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "summary": _skeleton,
    "csv": _csv,
    "json": lambda text: shape(comparable(json.loads(text))),
    "pretty": lambda text: shape(comparable(json.loads(text))),
    "influx-summary": _lines,
    "influx-details": _lines,
    "prometheus": _samples,
    "html": _page,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Probe, Sequence[str], Path]]:
    """Make a run, and lend its server, what was asked of it, and its report."""
    report = tmp_path_factory.mktemp("run") / "report.json"
    asked = (*ECHO, *shlex.split("""-n 100 -c 10 --name run --tags '{"a": "b"}'"""))
    with probe_server("--fail-every", "10", "--delay", "0.02") as probe:
        assert patron_load(*asked, *JSON, "-o", str(report), probe.target).code == 0
        yield probe, asked, report


@pytest.mark.parametrize("form", PARSERS)
def test_formats_are_parsed_the_same(form: str, saved: tuple[Probe, Sequence[str], Path]) -> None:
    """By one parser for both, which finds the same in them."""
    probe, asked, report = saved
    probe.tell(forget=True)
    theirs = real_ghz(*asked, "-O", form, probe.target)
    ours = patron_load("report", str(report), "-O", form)
    assert (theirs.code, ours.code) == (0, 0)
    assert PARSERS[form](ours.stdout) == PARSERS[form](theirs.stdout)


# What is wrong


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--insecure {host}",
        "--call {call} --insecure",
        "--call {call} --nope {host}",
        "--call {call} -c abc {host}",
        "--call {call} -c 0 {host}",
        "--call {call} -n 0 {host}",
        "--call {call} -n 5 --skipFirst 9 {host}",
        "--call {call} -c 2 --connections 9 {host}",
        "--call {call} -t 5 {host}",
        "--call {call} -d '{{nope' {host}",
        "--call {call} -m '[]' {host}",
        "--call {call} -D none.json {host}",
        "--call {call} --proto none.proto {host}",
        "--call {call} --protoset none.protoset {host}",
        "--call {call} --cert none.pem --key none.pem {host}",
        "--call {call} --cacert none.pem {host}",
        "--call {call} --max-recv-message-size zz {host}",
        "--call {call} --load-schedule nope {host}",
        "--call {call} --load-schedule step {host}",
        "--call {call} --load-schedule step --load-start 5 --load-end 9 {host}",
        "--call {call} --concurrency-schedule line --concurrency-end 9 --concurrency-step 0 {host}",
        """--call {call} --insecure -d '{{"nope": 1}}' {host}""",
        """--call {call} --insecure -d '{{"name": "{{{{.Nope}}}}"}}' {host}""",
        "--call {call}Nope --insecure {host}",
        "--call Nope/Nope --insecure {host}",
        "--call nope --insecure {host}",
    ],
)
def test_wrong_use_ends_the_same(
    arguments: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 1, nothing on stdout, and a reason on stderr."""
    monkeypatch.chdir(tmp_path)
    asked = shlex.split(arguments.format(call=f"{SERVICE}/Echo", host=probe.target))
    theirs, ours = real_ghz(*asked), patron_load(*asked)
    assert (theirs.code, ours.code) == (1, 1)
    assert (theirs.stdout, ours.stdout) == ("", "")
    assert theirs.stderr.strip()
    assert ours.stderr.splitlines()[-1].startswith("Error: ")


def closed_port() -> str:
    """Return an address that nobody answers at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize(
    "arguments,told",
    [
        ("--duration-stop nope {host}", "duration-stop"),
        ("--config none.json {host}", "none.json"),
        ("--proto {proto} {closed}", "{closed} cannot be reached"),
    ],
)
def test_what_ghz_lets_pass_is_refused(
    arguments: str, told: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that means nothing, a file that is not there, a server that cannot be reached."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "probe.proto").write_bytes(PROTO.read_bytes())
    names = {"host": probe.target, "closed": closed_port(), "proto": "probe.proto"}
    asked = (*ECHO, "-n", "2", "-c", "1", *arguments.format(**names).split())
    theirs, ours = real_ghz(*asked), patron_load(*asked)
    assert (theirs.code, ours.code) == (0, 1)
    assert told.format(**names) in ours.stderr.splitlines()[-1]
