"""What is kept of a run is exact where ghz is, and of the same size however long the run is."""

import json
import sys
import tracemalloc
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from load.calls import Call, Kind, Method, Moment, Payload
from load.config.model import Config
from load.engine.outcomes import ENDED_BY_THE_RUN
from load.jobs import Job, Pace, Ramp, Target
from load.recording import Recording, build_report
from load.recording.columns import Columns
from load.recording.histograms import LONGEST, Histogram, places
from load.recording.machine import this_machine
from load.recording.timeline import MOST_PARTS, Timeline
from load.records import STATUSES, Chunk, Ended, Told
from load.report.formats import render
from load.report.go_text import nanoseconds
from load.report.model import GateResult, Report
from load.report.options import options_of
from load.report.reading import read_report
from tests.support.ghz_reports import CURRENT, NAMED

_BEGAN = 1_800_000_000_000_000_000
_SECOND = 1_000_000_000
_MS = 1_000_000
_OK, _UNAVAILABLE = STATUSES.index("OK"), STATUSES.index("Unavailable")


class _Nothing:
    def payload(self, moment: Moment) -> Payload:
        return Payload(messages=[b""])


def _job(*names: str, pace: Pace | None = None) -> Job:
    calls = [Call(Method("a.B", name, Kind.UNARY, "x", "y", b""), _Nothing()) for name in names]
    return Job(Target("localhost:1", None), calls, pace or Pace(workers=Ramp(start=1)), name="Name")


def _column(values: Sequence[int] | np.ndarray) -> "array[int]":
    column: array[int] = array("q")
    column.frombytes(np.asarray(values, dtype=np.int64).tobytes())
    return column


def _chunk(
    ended: Sequence[int] | np.ndarray,
    service: Sequence[int] | np.ndarray,
    *,
    response: Sequence[int] | np.ndarray | None = None,
    call: Sequence[int] | None = None,
    error: Sequence[int] | None = None,
    status: Sequence[int] | None = None,
    new_errors: Sequence[str] = (),
) -> Chunk:
    count = len(ended)
    errors = error or [-1] * count
    return Chunk(
        ended=_column(ended),
        service=_column(service),
        response=_column(service if response is None else response),
        call=_column(call or [0] * count),
        status=_column(status or [_OK if each < 0 else _UNAVAILABLE for each in errors]),
        error=_column(errors),
        new_errors=list(new_errors),
    )


def _report(recording: Recording, job: Job, seconds: float = 10, **ended: float) -> Report:
    recording.add(Told(0, Ended("normal", seconds, **({"dropped": 0, "busy": 0.5} | ended))))  # type: ignore[arg-type]
    return build_report(recording.result(), job, options={})


def _replayed(report: Report) -> Report:
    """Return what is made of the calls that a report has details of."""
    details = report.details or ()
    texts = sorted({each.error for each in details if each.error})
    job = _job("C")
    count_errors = report.options.get("count-errors", False)
    recording = Recording(job, count_errors=count_errors)
    if details:
        chunk = _chunk(
            [nanoseconds(each.timestamp) for each in details],
            [each.latency for each in details],
            error=[texts.index(each.error) if each.error else -1 for each in details],
            status=[STATUSES.index(each.status) for each in details],
            new_errors=texts,
        )
        recording.add(Told(0, chunk))
    return _report(recording, job, report.total / _SECOND)


@pytest.mark.parametrize(
    "path", [each for each in CURRENT if each.stem != "awkward"], ids=lambda path: path.stem
)
def test_the_arithmetic_of_ghz(path: Path) -> None:
    """From the calls of a run of ghz comes the report that ghz made of them."""
    theirs = read_report(path)

    ours = _replayed(theirs)

    # As ghz goes by way of seconds as floats, it can lose a nanosecond.
    for name in ("average", "fastest", "slowest"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1)
    assert (ours.count, ours.total) == (theirs.count, theirs.total)
    assert ours.rps == pytest.approx(theirs.rps)
    assert ours.error_distribution == theirs.error_distribution
    assert ours.status_code_distribution == theirs.status_code_distribution
    if theirs.latency_distribution is None:
        assert (ours.latency_distribution, ours.histogram) == (None, None)
    else:
        assert ours.latency_distribution is not None
        for mine, other in zip(ours.latency_distribution, theirs.latency_distribution, strict=True):
            assert mine.percentage == other.percentage
            assert mine.latency == pytest.approx(other.latency, abs=1)
    assert ours.histogram == theirs.histogram
    told = [
        (nanoseconds(each.timestamp), each.latency, each.error, each.status)
        for each in theirs.details or ()
    ]
    assert told == sorted(told, key=lambda each: each[0])
    assert [
        (nanoseconds(each.timestamp), each.latency, each.error, each.status)
        for each in ours.details or ()
    ] == told
    assert json.loads("".join(render(ours, "json"))).keys() - {"patron"} == (
        json.loads("".join(render(theirs, "json"))).keys() | {"name"}
    ) - {"tags"}


def test_histograms_are_those_of_the_library() -> None:
    """Values of every size, and at both ends, are counted where the library counts them."""
    random = np.random.default_rng(1)
    steps = [2**power + more for power in range(42) for more in (-1, 0, 1)]
    values = np.array(
        [*(each * 1000 for each in steps), 0, 1, 499, 500, *random.lognormal(17, 3, 5000)]
    )
    durations = values.astype(np.int64)
    reference = HdrHistogram(1, LONGEST, 3)
    for micros in np.clip((durations + 500) // 1000, 1, LONGEST).tolist():
        assert reference.record_value(micros)

    histogram = Histogram()
    histogram.add(places(durations))

    assert HdrHistogram.decode(histogram.encoded()).get_total_count() == len(durations)
    assert list(HdrHistogram.decode(histogram.encoded()).counts) == list(
        HdrHistogram.decode(reference.encode()).counts
    )
    for percentage in (0.1, 50, 95, 99, 99.9, 99.99, 100):
        theirs = reference.get_value_at_percentile(percentage) * 1000
        assert histogram.percentile(percentage) == pytest.approx(theirs, rel=0.01)
    assert histogram.percentile(100) == reference.get_max_value() * 1000


def test_two_clocks_and_several_calls() -> None:
    """Each call has its own figures on both clocks; what began late or not at all is told."""
    job = _job("C", "D", pace=Pace(workers=Ramp(start=1), rate=Ramp(start=100)))
    recording = Recording(job)
    recording.add(
        Told(
            0,
            _chunk(
                [_BEGAN + 100 * _MS, _BEGAN + 200 * _MS, _BEGAN + 300 * _MS],
                [10 * _MS, 20 * _MS, 30 * _MS],
                response=[10 * _MS, 1000 * _MS, 41 * _MS],
                call=[0, 1, 1],
                error=[-1, -1, 0],
                new_errors=["rpc error: code = Unavailable desc = no"],
            ),
        )
    )
    recording.add(Told(0, Chunk(trailers={(1, "cache", "hit"): 2, (1, "cache", "miss"): 1})))

    report = _report(recording, job, seconds=2, dropped=7, busy=0.96)

    assert report.patron is not None
    first, second = report.patron.calls
    assert (first.call, first.count, first.errors, first.rps) == ("a.B.C", 1, 0, 0.5)
    assert (second.count, second.errors, second.statuses) == (2, 1, {"OK": 1, "Unavailable": 1})
    assert second.trailers == {"cache": {"hit": 2, "miss": 1}}
    # Failed calls count as calls, but how long they took says nothing.
    assert (second.service.count, second.service.slowest) == (1, 20 * _MS)
    assert second.response.slowest == 1000 * _MS
    assert report.patron.service.percentiles["p99.99"] == 20 * _MS
    assert report.patron.response.percentiles["p99.99"] == 1000 * _MS
    assert report.average == 20 * _MS
    assert (report.patron.late, report.patron.dropped, report.patron.scheduled) == (2, 7, True)
    busy, dropped = report.patron.warnings
    assert "96 % of a core" in busy
    assert "Calls that were due and never begun: 7" in dropped
    summary = "".join(render(report, "summary"))
    assert "(2 late, 7 dropped)" in summary
    assert "  p99.9:\t1.00 s\n" in summary


@pytest.mark.parametrize("seconds, warnings", [(0.0015, 0), (0.49, 0), (0.5, 1)])
def test_a_short_run_shows_nothing_of_the_load_generator(seconds: float, warnings: int) -> None:
    """A few calls at once keep it busy, whatever the server does."""
    job = _job("C")
    recording = Recording(job)
    recording.add(Told(0, _chunk([_BEGAN] * 4, [_MS] * 4)))

    report = _report(recording, job, seconds=seconds, busy=0.92)

    assert report.patron is not None
    assert len(report.patron.warnings) == warnings
    assert report.patron.generator_busy == 0.92


def test_what_the_summary_adds() -> None:
    """Calls, gates and warnings come after what ghz tells, when there are any."""
    job = _job("C", "D")
    recording = Recording(job)
    recording.add(Told(0, _chunk([_BEGAN, _BEGAN + 1], [_MS, 2 * _MS], call=[0, 1])))
    report = _report(recording, job, seconds=2)
    plain = "".join(render(msgspec.structs.replace(report, patron=None), "summary"))
    assert report.patron is not None
    gates = [
        GateResult(gate="p95<1s", outcome="pass", figure="2.00 ms", gap="998.00 ms below"),
        GateResult(gate="error_rate<0.1%", outcome="inconclusive", figure="0 %", gap="too few"),
    ]
    extra = msgspec.structs.replace(report.patron, gates=gates, warnings=["Look out."])

    summary = "".join(render(msgspec.structs.replace(report, patron=extra), "summary"))

    assert summary.removeprefix(plain).splitlines() == [
        "Calls:",
        "  a.B.C   1 calls   0 errors   0.50/s   p95 1.00 ms   ",
        "  a.B.D   1 calls   0 errors   0.50/s   p95 2.00 ms   ",
        "",
        "Gates:",
        "  [pass]           p95<1s            2.00 ms   998.00 ms below   ",
        "  [inconclusive]   error_rate<0.1%   0 %       too few           ",
        "",
        "Warnings:",
        "  Look out.",
        "",
    ]


def test_count_errors() -> None:
    """When errors count, their durations do."""
    job = _job("C")
    recording = Recording(job, count_errors=True)
    recording.add(Told(0, _chunk([_BEGAN], [9 * _MS], error=[0], new_errors=["bad"])))

    report = _report(recording, job)

    assert report.slowest == 9 * _MS
    assert report.patron is not None
    assert report.patron.service.count == 1


def test_the_first_are_skipped_over_all_processes() -> None:
    """Those that end first are dropped, whichever process tells of them first."""
    for seconds in (1, 30):
        job = _job("C")
        recording = Recording(job, skip_first=4)
        for second in range(seconds):
            for process in (1, 0):
                ended = [
                    _BEGAN + second * _SECOND + each * 200 * _MS + process * 100 * _MS
                    for each in range(5)
                ]
                recording.add(Told(process, _chunk(ended, [_MS] * 5)))

        report = _report(recording, job)

        assert report.count == 10 * seconds - 4
        assert report.details is not None
        at = [nanoseconds(each.timestamp) - _BEGAN for each in report.details]
        assert at[:2] == [400 * _MS, 500 * _MS]
        assert all(earlier < later for earlier, later in pairwise(at))


def test_skipping_all() -> None:
    """When all calls are skipped, there is nothing to tell of, as with ghz."""
    job = _job("C")
    recording = Recording(job, skip_first=9)
    recording.add(Told(0, _chunk([_BEGAN] * 3, [_MS] * 3)))

    report = _report(recording, job)

    theirs = read_report(NAMED["nothing"])
    for name in ("count", "average", "rps", "details", "histogram", "latency_distribution"):
        assert getattr(report, name) == getattr(theirs, name)


def test_parts_of_a_long_run() -> None:
    """Parts get longer so that they stay few, with the percentiles of all of their calls."""
    job = _job("C")
    recording = Recording(job)
    random = np.random.default_rng(2)
    parts: list[np.ndarray] = []
    responses: list[np.ndarray] = []
    for second in range(1500):
        if second in (3, 4, 5, 6, 7):
            parts.append(np.array([], dtype=np.int64))
            responses.append(parts[-1])
            continue
        # It gets slower: percentiles that were averaged would be wrong.
        parts.append((random.exponential(second + 1, 100) * _MS).astype(np.int64) + 1)
        ended = _BEGAN + second * _SECOND + np.arange(100) * 9 * _MS + parts[0][0]
        # Some begin late.
        responses.append(parts[-1] * (3 if second % 4 == 2 else 1))
        recording.add(Told(0, _chunk(ended, parts[-1], response=responses[-1])))

    report = _report(recording, job)

    assert report.patron is not None
    timeline = report.patron.timeline
    assert [each.at for each in timeline] == [4.0 * index for index in range(375)]
    assert [each.count for each in timeline[:3]] == [300, 0, 400]
    assert timeline[1].service == {}
    for index in (0, 2, 374):
        part = timeline[index]
        for told, kept in ((part.service, parts), (part.response, responses)):
            together = np.sort(np.concatenate(kept[4 * index : 4 * index + 4]))
            for name, percentage in (("p50", 50), ("p95", 95), ("p99", 99)):
                exact = together[int(np.ceil(percentage / 100 * len(together))) - 1]
                assert told[name] == pytest.approx(exact, rel=0.008, abs=1000)
            assert told["max"] == together[-1]


def test_memory_of_the_parts_of_a_run() -> None:
    """Ten minutes at full rate take a few megabytes, however different the durations are."""
    random = np.random.default_rng(3)
    calls = 5_000
    zeros = np.zeros(calls, dtype=np.int64)
    tracemalloc.start()
    timeline = Timeline(_BEGAN)
    for second in range(MOST_PARTS):
        ended = _BEGAN + second * _SECOND + np.arange(calls, dtype=np.int64)
        durations = (random.exponential(20, calls) * _MS).astype(np.int64) + 1
        columns = Columns(ended, durations, durations, zeros, zeros, zeros)
        timeline.add(columns, columns)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(timeline.seconds()) == MOST_PARTS
    assert taken < 5_000_000


def test_more_calls_than_there_are_details_of() -> None:
    """After a million, no more details are kept, and percentiles are at most 0.1 % off."""
    job = _job("C")
    recording = Recording(job)
    random = np.random.default_rng(3)
    service = (random.lognormal(16, 0.5, 1_100_000)).astype(np.int64)
    for index in range(11):
        part = service[index * 100_000 : (index + 1) * 100_000]
        ended = _BEGAN + index * _SECOND + np.arange(100_000) * 9_000
        recording.add(Told(0, _chunk(ended, part)))

    report = _report(recording, job)

    assert report.details is not None
    assert (report.count, len(report.details)) == (1_100_000, 1_000_000)
    assert report.details[-1].latency == service[999_999]
    # However many they are, they don't grow to objects: 21 bytes each.
    assert sys.getsizeof(report.details) < 1000
    assert report.latency_distribution is not None
    for each in report.latency_distribution:
        exact = float(np.percentile(service, each.percentage))
        assert each.latency == pytest.approx(exact, rel=0.001)
    assert report.histogram is not None
    assert sum(each.count for each in report.histogram) == 1_100_000
    assert report.average == pytest.approx(service.mean(), rel=1e-6)
    assert report.patron is not None
    assert "first 1,000,000 of 1,100,000 calls" in report.patron.warnings[0]


def test_our_own_reports_are_read_again(tmp_path: Path) -> None:
    """A report that was written and read again is written as the same text, in every format."""
    job = _job("C", "D", pace=Pace(workers=Ramp(start=1), rate=Ramp(start=100)))
    recording = Recording(job)
    ended = [_BEGAN + each * 333 * _MS for each in range(20)]
    recording.add(
        Told(0, _chunk(ended, range(1, 21), error=[-1, 0] * 10, new_errors=["<é>\n\u2028"]))
    )
    report = _report(recording, job)
    path = tmp_path / "report.json"
    path.write_text("".join(render(report, "json")), encoding="utf-8")

    again = read_report(path)

    assert msgspec.json.encode(again.patron, order="sorted") == msgspec.json.encode(
        report.patron, order="sorted"
    )
    for form in ("json", "pretty", "csv", "summary", "influx-details", "prometheus"):
        assert "".join(render(again, form)) == "".join(render(report, form))
    keys = list(json.loads(path.read_text(encoding="utf-8")))
    assert keys[0] == "date"
    assert keys[-1] == "patron"


def test_details_are_a_sequence() -> None:
    """Details can be taken one by one, from the end, and in parts."""
    job = _job("C")
    recording = Recording(job)
    recording.add(Told(0, _chunk([_BEGAN + 2, _BEGAN + 1, _BEGAN + 3], [20, 10, 30])))

    details = recording.result().details

    assert [each.latency for each in details] == [10, 20, 30]
    assert (details[0].latency, details[-1].latency, details[1:][0].latency) == (10, 30, 20)
    with pytest.raises(IndexError):
        details[3]


def test_errors_that_never_say_the_same() -> None:
    """After ten thousand texts, more of them are counted together."""
    job = _job("C")
    recording = Recording(job)
    prefix = "rpc error: code = Unavailable desc ="
    for process in (0, 1):
        texts = [f"{prefix} {process}.{number}" for number in range(7000)]
        chunk = _chunk([_BEGAN] * 7000, [_MS] * 7000, error=list(range(7000)), new_errors=texts)
        recording.add(Told(process, chunk))

    report = _report(recording, job)

    assert len(report.error_distribution) == 10_001
    assert report.error_distribution[f"{prefix} 1.2999"] == 1
    assert report.error_distribution[f"{prefix} any other"] == 4000
    assert report.patron is not None
    assert "10,000 different errors" in report.patron.warnings[0]


def test_progress() -> None:
    """The rate and the percentile are those of the last second; when nothing ends, they fall."""
    now = _BEGAN
    pace = Pace(workers=Ramp(start=1), total=500)
    recording = Recording(_job("C", pace=pace), skip_first=10, clock=lambda: now)
    assert recording.progress().done == 0

    for tenth in range(30):
        ended = [_BEGAN + tenth * 100 * _MS + each * 10 * _MS for each in range(1, 11)]
        chunk = _chunk(
            ended,
            [(tenth + 1) * _MS] * 10,
            error=[0] + [-1] * 9,
            new_errors=["bad"] if tenth == 0 else [],
        )
        recording.add(Told(0, chunk))
    now = _BEGAN + 3 * _SECOND
    progress = recording.progress()

    assert (progress.done, progress.total, progress.errors) == (300, 500, 30)
    assert (progress.rate, progress.p95) == (100, 30 * _MS)
    assert progress.seconds == pytest.approx(3, abs=0.1)
    now += 3 * _SECOND
    assert (recording.progress().rate, recording.progress().p95) == (0, 0)


def test_how_it_ended() -> None:
    """What one process says of the end holds for all, and a failure is told."""
    job = _job("C")
    recording = Recording(job)
    recording.add(Told(0, Ended("normal", 1.5, 2, 0.1, messages_sent=3)))
    recording.add(Told(1, Ended("timeout", 2.5, 3, 0.2, messages_sent=4, failure="bad data")))

    outcome = recording.result()
    report = build_report(outcome, job, options={}, warnings=["first"])

    assert (report.end_reason, report.total) == ("timeout", 2_500_000_000)
    assert outcome.failure == "bad data"
    assert report.patron is not None
    assert (report.patron.dropped, report.patron.processes, report.patron.messages_sent) == (
        5,
        2,
        7,
    )
    assert report.patron.warnings[0] == "first"
    assert "bad data" in report.patron.warnings[1]


def test_options_as_ghz_reports_them() -> None:
    """The same options, asked for here, are reported in the same order and with the same values."""
    metadata = {"k": "v=1, <w>"}
    data = [{"name": 'a"<b>&'}, {"name": "c", "tags": ["1", "2"]}]
    common = Config(proto="probe.proto", call="probe.v1.Probe.Echo", insecure=True)
    theirs = {name: read_report(path).options for name, path in NAMED.items()}

    def ours(report: str, /, **given: object) -> list[tuple[str, object]]:
        settings = {field: getattr(common, field) for field in common.__struct_fields__}
        config = Config(**(settings | {"host": theirs[report]["host"]} | given))
        sent: object = data if report == "duration" else {} if report == "schedules" else None
        told = metadata if report == "duration" else None
        return list(options_of(config, cpus=2, data=sent, metadata=told).items())

    assert ours("nothing", total=5, concurrency=1, skip_first=5) == list(theirs["nothing"].items())
    duration = {"duration": _SECOND, "concurrency": 1, "rps": 20, "name": "A run = one, two"}
    assert ours("duration", **duration) == list(theirs["duration"].items())
    schedules = {
        "total": 30,
        "connections": 2,
        "concurrency": 4,
        "load_schedule": "step",
        "load_start": 10,
        "load_end": 50,
        "load_step": 10,
        "load_step_duration": _SECOND // 2,
        "concurrency_schedule": "line",
        "concurrency_start": 1,
        "concurrency_end": 4,
        "concurrency_max_duration": 3 * _SECOND,
        "asynchronous": True,
        "skip_first": 2,
        "keepalive": 90 * _SECOND,
    }
    assert ours("schedules", **schedules) == list(theirs["schedules"].items())
    paths = dict(ours("nothing", proto="a/b/c.proto", import_paths=["d"]))["import-paths"]
    assert paths == ["a/b", ".", "d"]


def test_the_machine() -> None:
    """It is told apart by what tells nothing else of it."""
    machine = this_machine()

    assert machine == this_machine()
    assert len(machine.id) == 16
    assert int(machine.id, 16)
    assert machine.cores >= 1


def test_calls_that_the_run_itself_ended_are_told_apart() -> None:
    """Those of streams and of users of locust too; what a server cut off is not among them."""
    job = _job("C")
    recording = Recording(job)
    texts = [each.error for each in ENDED_BY_THE_RUN]
    texts.append("rpc error: code = Unavailable desc = connection reset by peer")
    chunk = _chunk([_BEGAN] * 4, [_MS] * 4, error=[3, 0, 1, 2], new_errors=texts)
    recording.add(Told(0, chunk))

    report = _report(recording, job)

    assert report.patron is not None
    assert (report.patron.calls[0].errors, report.patron.calls[0].cut_off) == (4, 3)
