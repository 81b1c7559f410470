"""What ghz's options come to, from files and flags."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.config.durations import format_duration, parse_duration
from load.config.files import read_config
from load.config.model import Config
from load.config.options import OPTIONS, Kind, Option
from load.config.pacing import pace_of
from load.config.printing import to_file
from load.config.resolving import resolve
from load.config.sizes import parse_size
from load.config.values import from_flag
from load.errors import ConfigError
from load.jobs import Ramp, Shape

GHZ = Path(__file__).parents[1] / "load" / "ghz"
CONFIGS = GHZ / "configs"
RESOLVED: Mapping[str, Mapping[str, Any]] = json.loads((GHZ / "resolved.json").read_text())
REFUSED = {
    f"runner/{name}.{form}": key
    for form in ("json", "toml", "yaml")
    for name, key in {
        "config0": "data",
        "config1": "duration",
        "config2": "max-duration",
        "config3": "stream-interval",
        "config4": "timeout",
    }.items()
}
TAKEN_HERE_ALONE = ["config4.toml"]
CALL = {"call": "a.B/C", "host": "localhost:1"}


def written(folder: Path, form: str, text: str) -> str:
    """Write a file, and return its path."""
    path = folder / f"config.{form}"
    path.write_text(text)
    return str(path)


def test_every_configuration_of_ghz_is_expected_something_of() -> None:
    """No file of ghz's is forgotten."""
    files = {str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("config*")}
    assert files == {*RESOLVED, *REFUSED, *TAKEN_HERE_ALONE}


@pytest.mark.parametrize("name", RESOLVED)
def test_a_configuration_comes_to_what_it_comes_to_in_ghz(name: str) -> None:
    """Key by key; what ghz doesn't have is not set."""
    ours = to_file(resolve(str(CONFIGS / name), {}).config)
    theirs = RESOLVED[name]
    assert {key: ours[key] for key in theirs} == theirs
    assert not any(value for key, value in ours.items() if key not in theirs)


@pytest.mark.parametrize("name,key", REFUSED.items())
def test_what_ghz_refuses_is_refused_by_the_name_of_its_key(name: str, key: str) -> None:
    """The message has the file, the key and what is wrong with it."""
    with pytest.raises(ConfigError, match=rf"{name}: {key}: ('asdf'|'foo'|must be an object)"):
        resolve(str(CONFIGS / name), {})


def test_an_array_of_tables_is_data() -> None:
    """As `data` may be an array in JSON."""
    config = resolve(str(CONFIGS / "config4.toml"), {}).config
    assert [each["name"] for each in config.data] == [
        f"Bob {number} {{{{.TimestampUnix}}}}" for number in (1, 2, 3, 4)
    ]


def test_a_misspelt_key_is_a_warning_that_knows_what_was_meant() -> None:
    """The default holds."""
    resolved = resolve(str(CONFIGS / "config3.json"), {})
    [warning] = [each for each in resolved.warnings if "unknown" in each]
    assert "'concurreny' is unknown, and ignored; did you mean 'concurrency'?" in warning
    assert resolved.config.concurrency == 50


@pytest.mark.parametrize(
    "text,nanoseconds",
    [
        *(("0", 0), ("-0", 0), ("0s", 0), ("5s", 5 * 10**9), ("+30s", 30 * 10**9)),
        *(("-1m", -60 * 10**9), ("1478s", 1478 * 10**9), (".5s", 5 * 10**8), ("5.s", 5 * 10**9)),
        *(
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("1.0001ms", 1000100),
        ),
        *(("3h30m", 12_600 * 10**9), ("10.5s4m", 250_500_000_000), ("0.3ns", 0)),
        *(("39h9m14.425s", 140_954_425_000_000), ("0.830103483285477580700h", 2_988_372_539_827)),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_a_duration_is_what_it_is_in_go(text: str, nanoseconds: int) -> None:
    """Cases of Go's own tests of `time.ParseDuration`."""
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "1s 2s", "1s!2s", " 1s", "1.2.3s"),
        *("\x85\x85", "hello \xffff", "9223372036854775808ns", "2562047h47m16.854775808s", "٣s"),
    ],
)
def test_what_is_no_duration_in_go_is_none(text: str) -> None:
    """Cases of Go's own tests, and what durationpy takes beyond them."""
    with pytest.raises(ConfigError):
        parse_duration(text)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_duration_that_is_written_is_read_as_the_same(nanoseconds: int) -> None:
    """However long, to the nanosecond."""
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    "nanoseconds,text",
    [
        *((0, "0s"), (1, "1ns"), (1100, "1.1µs"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s")),
        *((245 * 10**9, "4m5s"), (245_001_000_000, "4m5.001s"), (3600 * 10**9, "1h0m0s")),
        *((18_367_001_000_000, "5h6m7.001s"), (480_000_000_001, "8m0.000000001s"), (-1000, "-1µs")),
    ],
)
def test_a_duration_is_written_as_in_go(nanoseconds: int, text: str) -> None:
    """Cases of Go's own tests of `Duration.String`."""
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    "text,size",
    [
        *(("42", 42), ("42 B", 42), ("1,024", 1024), ("1.5 k", 1500), ("4MiB", 4 << 20)),
        *(
            ("1024mb", 1_024_000_000),
            ("2000mib", 2000 << 20),
            ("1Ki", 1024),
            ("42.5GB", 42_500 * 10**6),
        ),
    ],
)
def test_a_size_is_what_people_write(text: str, size: int) -> None:
    """As ghz reads it."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "mb", "-1", "1kk", "84 JB", "1 2", "16EiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match=r"16mb|16EiB"):
        parse_size(text)


_SAMPLES: Mapping[Kind, tuple[Any, ...]] = {
    Kind.TEXT: ("some text",),
    Kind.PATH: ("some/path.proto",),
    Kind.SWITCH: (True,),
    Kind.COUNT: (7, 0),
    Kind.NUMBER: (-7, 0),
    Kind.DURATION: (90_000_000_001, 0),
    Kind.SIZE: ("4MiB",),
    Kind.LIST: (("a", "b c"),),
    Kind.MAP: ({"a": "1", "b-bin": "eA=="},),
    Kind.DATA: ({"id": 2**63 - 1}, [{"a": 0.1}, {"a": None}], "@"),
}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_what_is_printed_is_read_as_the_same(option: Option, tmp_path: Path) -> None:
    """Every option, where it has another value than by default and where it is 0."""
    for value in _SAMPLES.get(option.kind, option.words):
        config = msgspec.structs.replace(Config(), **{option.field: value})
        path = written(tmp_path, "json", json.dumps(to_file(config)))
        assert read_config(path).config == config


def test_a_file_has_other_defaults_than_flags_for_workers_over_time(tmp_path: Path) -> None:
    """As with ghz."""
    read = read_config(written(tmp_path, "json", "{}")).config
    assert (read.concurrency_start, read.concurrency_step) == (1, 0)
    assert (Config().concurrency_start, Config().concurrency_step) == (0, 1)


def test_flags_win_and_unsay_what_the_file_has_instead(tmp_path: Path) -> None:
    """A flag for the data would be without effect beside the file's `data-file`."""
    path = written(
        tmp_path,
        "toml",
        'call = "a.B/C"\nhost = "x:1"\ntotal = 5\ndata-file = "d.json"\nmax-duration = "9s"',
    )
    flags = {"host": "y:2", "data": {"a": 1}, "duration": 10**9, "insecure": False}
    config = resolve(path, flags).config
    assert (config.host, config.total, config.call) == ("y:2", 5, "a.B/C")
    assert (config.data, config.data_file) == ({"a": 1}, "")
    assert (config.duration, config.max_duration) == (10**9, 0)


def test_json_and_toml_do_not_care_for_the_case_of_keys_and_yaml_does(tmp_path: Path) -> None:
    """As with ghz; in YAML the warning says what was meant."""
    assert read_config(written(tmp_path, "json", '{"RPS": 3}')).config.rps == 3
    assert read_config(written(tmp_path, "toml", "SkipTLS = true")).config.skip_tls
    read = read_config(written(tmp_path, "yaml", "RPS: 3"))
    assert read.config.rps == 0
    assert read.warnings[0].endswith("the key 'RPS' is unknown, and ignored; did you mean 'rps'?")


def test_a_short_flag_as_a_key_is_told_its_long_name(tmp_path: Path) -> None:
    """`n` is no key."""
    read = read_config(written(tmp_path, "json", '{"n": 3, "qqq": 1}'))
    assert [warning.partition("; ")[2] for warning in read.warnings] == [
        "did you mean 'total'?",
        "",
    ]


def test_texts_in_yaml_are_texts_however_they_look(tmp_path: Path) -> None:
    """As ghz has it: dates are no dates, 12:30 is no number, and `name: 010` is not 8."""
    text = """
base: &base
  nested: {at: 2024-01-01T00:00:00Z, day: 2024-01-01, half: 12:30, big: 9007199254740993}
name: 010
host: 127.0.0.1:9000
timeout: 0
data: {<<: *base, float: 1e3, yes_: yes, octal: 010}
"""
    config = read_config(written(tmp_path, "yaml", text)).config
    assert (config.name, config.host, config.timeout) == ("010", "127.0.0.1:9000", 0)
    assert config.data == {
        "nested": {
            "at": "2024-01-01T00:00:00Z",
            "day": "2024-01-01",
            "half": "12:30",
            "big": 9007199254740993,
        },
        "float": 1000.0,
        "yes_": True,
        "octal": 8,
    }


def test_digits_and_instants_in_data_are_kept(tmp_path: Path) -> None:
    """A whole number above 2⁵³ has all its digits; instants of TOML are as JSON has them."""
    toml = "[data]\nid = 9007199254740993\nat = 2024-01-01T00:00:00Z\nday = 2024-01-01"
    assert read_config(written(tmp_path, "toml", toml)).config.data == {
        "id": 9007199254740993,
        "at": "2024-01-01T00:00:00Z",
        "day": "2024-01-01",
    }
    [data] = [option for option in OPTIONS if option.field == "data"]
    assert from_flag(data, '{"id": 9007199254740993}') == {"id": 9007199254740993}


def test_an_empty_array_is_data_of_streams_by_a_flag_and_in_a_file(tmp_path: Path) -> None:
    """Whether the method takes it is known later: a client that streams may send nothing."""
    [data] = [option for option in OPTIONS if option.field == "data"]
    assert from_flag(data, "[]") == []
    assert read_config(written(tmp_path, "json", '{"data": []}')).config.data == []


@pytest.mark.parametrize(
    "form,text,told",
    [
        ("json", '{"total": "5"}', "total: must be a whole number.*, and is the text '5'"),
        ("json", '{"total": 5.0}', "total: must be a whole number.*, and is 5.0"),
        ("json", '{"total": true}', "total: must be a whole number.*, and is true"),
        ("json", '{"total": -1}', "total: must be a whole number that is not negative, and is -1"),
        ("json", '{"insecure": "true"}', "insecure: must be true or false"),
        ("json", '{"timeout": 5}', "timeout: '5' has no unit"),
        (
            "json",
            '{"metadata": {"a": 1}}',
            "metadata: must be an object of texts, and its 'a' is 1",
        ),
        ("json", '{"tags": []}', "tags: must be an object of texts, and is an array"),
        ("json", '{"import-paths": "a,b"}', "import-paths: must be an array of texts"),
        ("json", '{"data": 1}', "data: must be an object, or an array of objects, and is 1"),
        ("json", '{"data": [1]}', "data: must be .*, and in it is 1"),
        ("json", '{"format": "xml"}', "format: must be summary, .* or github, and is 'xml'"),
        ("json", '{"duration-stop": "x"}', "duration-stop: must be close, wait or ignore"),
        ("json", '{"concurrency-schedule": "x"}', "concurrency-schedule: must be const, step or"),
        ("json", '{"max-recv-message-size": "x"}', "max-recv-message-size: 'x' is no size"),
        ("json", '{"data": {"a": NaN}}', "this is no JSON: NaN"),
        ("json", '{"total": 5} x', "this is no JSON: Extra data, line 1, column 14"),
        ("json", "[]", "must be an object of options"),
        ("yaml", "threshold: p95<2s", "threshold: say it by its flag, or in a scenario"),
        ("toml", "total = x", "this is no TOML: .*line 1"),
        ("yaml", "total: 5\n  x: 1", "this is no YAML: .*, line 2, column 4"),
        ("yaml", "data: {1: x}", "data: the key 1 must be a text: put it in quotes"),
        ("yaml", "data: !!python/name:os.system x", "this is no YAML: could not determine"),
        ("conf", "{}", "config: .* does not end with .json, .toml, .yaml or .yml"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_file_and_key(
    form: str, text: str, told: str, tmp_path: Path
) -> None:
    """At once, and in one line."""
    with pytest.raises(ConfigError, match=told) as caught:
        read_config(written(tmp_path, form, text))
    assert f"config.{form}" in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Whether it is missing or no text."""
    with pytest.raises(ConfigError, match=r"config: cannot read .*none.json: No such file"):
        read_config(str(tmp_path / "none.json"))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary.json is not in UTF-8"):
        read_config(str(tmp_path / "binary.json"))


STEP = {"load_schedule": "step", "load_step_duration": 10**9}
LINE = {"concurrency_schedule": "line", "concurrency_start": 1}


@pytest.mark.parametrize(
    "flags,told",
    [
        ({"call": ""}, "call: say which method"),
        ({"host": " "}, "host: say which server"),
        ({"concurrency": 0}, "concurrency: must be at least 1"),
        ({"connections": 3, "concurrency": 2}, "connections: must be at most the concurrency"),
        ({"total": 0}, "total: must be at least 1"),
        ({"skip_first": 201}, "skipFirst: must be at most the total, which is 200"),
        ({"timeout": -1}, "timeout: must not be negative: -1ns"),
        ({"cert": "a"}, "cert: goes with key, which is missing"),
        ({"key": "a"}, "key: goes with cert, which is missing"),
        ({"binary": True, "stream_dynamic_messages": True}, "stream-dynamic-messages: binary"),
        (STEP, "load-end: must not be load-start, which is 0"),
        ({**STEP, "load_end": 5}, "load-step: must not be 0"),
        (
            {**STEP, "load_end": 5, "load_step": 1, "load_step_duration": 0},
            "load-step-duration: must not be 0",
        ),
        ({**STEP, "load_end": 5, "load_step": -1}, "load-step: -1 never gets from 0 to 5"),
        ({**LINE, "concurrency_end": 1}, "concurrency-end: must not be concurrency-start"),
        ({**LINE, "concurrency_step": -1}, "concurrency-end: is needed when concurrency-step is"),
    ],
)
def test_options_that_do_not_go_together_are_refused_by_name(
    flags: Mapping[str, Any], told: str
) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match=f"^{told}"):
        resolve("", {**CALL, **flags})


def test_the_time_ends_a_run_and_with_max_duration_calls_that_are_asked_for_do_too() -> None:
    """With both times, max-duration goes first, as in ghz, which then forgets any calls."""
    timed = pace_of(resolve("", {**CALL, "duration": 2 * 10**9, "total": 0}).config)
    assert (timed.total, timed.duration) == (None, 2)
    times = {"duration": 2 * 10**9, "max_duration": 3 * 10**9}
    both = resolve("", {**CALL, **times, "total": 200})
    assert (pace_of(both.config).total, pace_of(both.config).duration) == (200, 3)
    assert [warning.partition(":")[0] for warning in both.warnings] == ["max-duration", "duration"]
    alone = resolve("", {**CALL, **times})
    assert (pace_of(alone.config).total, pace_of(alone.config).duration) == (None, 3)
    assert [warning.partition(":")[0] for warning in alone.warnings] == ["duration"]


def test_schedules_become_ramps() -> None:
    """The steps of a line take a second, whatever is said."""
    flags = {
        "load_schedule": "line",
        "load_start": 5,
        "load_end": 50,
        "load_step": 5,
        "load_step_duration": 7,
        "load_max_duration": 10**10,
        "rps": 3,
        "concurrency_schedule": "step",
        "concurrency_start": 2,
        "concurrency_step": 4,
        "concurrency_step_duration": 5 * 10**8,
    }
    resolved = resolve("", {**CALL, **flags})
    pace = pace_of(resolved.config)
    assert pace.rate == Ramp(Shape.LINE, 5, 50, 5, 1, 10)
    assert pace.workers == Ramp(Shape.STEP, 2, 0, 4, 0.5, 0)
    assert list(resolved.warnings) == ["rps: has no effect: load-schedule is line"]


def test_what_has_no_effect_is_warned_of() -> None:
    """Where ghz says nothing."""
    flags = {"insecure": True, "cacert": "a.pem", "cname": "b", "lb_strategy": "round_robin"}
    assert list(resolve("", {**CALL, **flags}).warnings) == [
        "cacert, cname: no effect: insecure is without TLS",
        "lb-strategy: no effect unless the host is dns:///name:port",
    ]
    doubled = {"data": {}, "data_file": "a", "metadata": {"a": "b"}, "metadata_file": "b"}
    assert list(resolve("", {**CALL, **doubled, "output": "a/b.html"}).warnings) == [
        "data: has no effect: data-file goes first",
        "metadata: has no effect: metadata-file goes first",
        "format: a/b.html will be a summary; for html, say so",
    ]
