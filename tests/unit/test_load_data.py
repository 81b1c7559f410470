"""What calls send: data, templates, binary data, metadata and rows, against a real contract."""

import base64
import io
import pickle
import re
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from load.calls import Method, Moment, Payload, Source
from load.config.model import Config
from load.data.choosing import Order
from load.data.rows import Row, read_rows
from load.data.sources import Fixed, source_of, source_of_call
from load.data.variables import Clock
from load.errors import ConfigError, DataError
from load.targets.descriptors import find
from tests.support.probe.contract import descriptor_set, message_class


def _method(name: str = "Echo") -> Method:
    files = FileDescriptorSet.FromString(descriptor_set()).file
    return find(files, "probe.v1.Probe", name, where="the probe")


def _source(name: str = "Echo", stdin: bytes = b"", **options: Any) -> Source:
    """Return a source as another process has it."""
    made = source_of(Config(**options), _method(name), io.BytesIO(stdin))
    sent: Source = pickle.loads(pickle.dumps(made))  # noqa: S301
    return sent


def _moment(number: int = 0) -> Moment:
    return Moment(number, "g1c0")


def _messages(payload: Payload) -> list[Any]:
    return [message_class("EchoRequest").FromString(each) for each in payload.messages]


def _only(source: Source, number: int = 0) -> Any:
    [message] = _messages(source.payload(_moment(number)))
    return message


def _encoded(**fields: Any) -> bytes:
    message: Message = message_class("EchoRequest")(**fields)
    return message.SerializeToString()


def _delimited(*parts: bytes) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in parts)


def test_without_data_one_empty_message_is_sent() -> None:
    """As in ghz; a client that streams sends one as well."""
    assert _source().payload(_moment()) == Payload((b"",))
    assert list(_source("Collect").payload(_moment()).messages) == [b""]


def test_an_array_is_used_in_turn_or_sent_as_a_stream() -> None:
    """By the number of the call, whoever makes it."""
    data = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert [_only(_source(data=data), number).name for number in (0, 4, 2)] == ["a", "b", "c"]
    streamed = _messages(_source("Chat", data=data).payload(_moment(7)))
    assert [each.name for each in streamed] == ["a", "b", "c"]


def test_numbers_keep_all_their_digits() -> None:
    """Where ghz rounds to what a float can hold."""
    assert _only(_source(data={"bigNumber": 2**53 + 1})).big_number == 2**53 + 1
    text = b'{"big_number": 9223372036854775807}'
    assert _only(_source(data="@", stdin=text)).big_number == 2**63 - 1


def test_variables_of_templates_are_those_of_ghz() -> None:
    """Their values, and the form that Go prints them in."""
    names = [
        *("WorkerID", "RequestNumber", "FullyQualifiedName", "MethodName", "ServiceName"),
        *("InputName", "OutputName", "IsClientStreaming", "IsServerStreaming", "Timestamp"),
        *("TimestampUnix", "TimestampUnixMilli", "TimestampUnixNano", "UUID"),
    ]
    template = " ".join(f"{{{{.{name}}}}}" for name in names)
    made = _source("Collect", data={"name": template}, metadata={"id": "{{.UUID}}"})
    before = datetime.now().astimezone().replace(microsecond=0)
    payload = made.payload(_moment(41))
    values = dict(zip(names, _messages(payload)[0].name.split(), strict=True))
    assert [values[name] for name in names[:9]] == [
        *("g1c0", "41", "probe.v1.Probe.Collect", "Collect", "Probe"),
        *("EchoRequest", "CollectReply", "true", "false"),
    ]
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}(Z|[+-]\d\d:\d\d)", values["Timestamp"])
    told = datetime.fromisoformat(values["Timestamp"])
    assert before <= told <= datetime.now().astimezone()
    assert values["TimestampUnix"] == str(int(told.timestamp()))
    assert values["TimestampUnixNano"].startswith(values["TimestampUnixMilli"])
    assert values["TimestampUnixMilli"].startswith(values["TimestampUnix"])
    assert UUID(values["UUID"]).version == 4
    # One of each call, in its data and its metadata.
    assert payload.metadata == (("id", values["UUID"]),)
    assert made.payload(_moment(42)).metadata != payload.metadata


def test_time_stamps_are_in_the_time_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its offset, or Z where that is none."""
    zones = {"UTC0": "2023-11-14T22:13:20Z", "ZON-5:30": "2023-11-15T03:43:20+05:30"}
    try:
        for zone, expected in zones.items():
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert Clock()(1_700_000_000_123_456_789) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "data",
    [
        {
            "name": "{{.RequestNumber}}",
            "big_number": "{{.RequestNumber}}",
            "blob": '{{ printf "n%d" .RequestNumber | b64enc }}',
            "colour": "{{if eq .RequestNumber 7}}COLOUR_RED{{else}}0{{end}}",
            "tags": ["fixed", '{{.MethodName}} "{{.RequestNumber}}"'],
            "at": "2024-01-01T00:00:0{{.RequestNumber}}Z",
            "nested": {"nested": {"name": "{{.WorkerID}}"}},
        },
        # A map has no place of its own that could be set, and is made anew.
        {"name": "{{.RequestNumber}}", "counts": {"a": "{{.RequestNumber}}"}},
    ],
    ids=["set", "made"],
)
def test_templates_in_fields_of_all_kinds(data: dict[str, Any]) -> None:
    """Each call has its own values, one after the other and twice the same."""
    made = _source(data=data)
    sent = [_only(made, number) for number in (1, 7, 7, 2)]
    assert [each.name for each in sent] == ["1", "7", "7", "2"]
    assert sent[1] == sent[2]
    if "counts" in data:
        assert [each.counts["a"] for each in sent] == [1, 7, 7, 2]
        return
    assert [each.big_number for each in sent] == [1, 7, 7, 2]
    assert [each.blob for each in sent] == [b"n1", b"n7", b"n7", b"n2"]
    assert [each.colour for each in sent] == [0, 1, 1, 0]
    assert [each.at.seconds % 60 for each in sent] == [1, 7, 7, 2]
    assert list(sent[3].tags) == ["fixed", 'Echo "2"']
    assert sent[0].nested.nested.name == "g1c0"


def test_a_text_is_json_only_after_its_templates(tmp_path: Path) -> None:
    """Unquoted numbers, loops, and variables that cross from field to field."""
    file = tmp_path / "data.json"
    file.write_text('{"big_number": {{.RequestNumber}}, "tags": [{{range 2}}"x",{{end}} "y"]}')
    sent = _only(_source(data_file=str(file)), 5)
    assert (sent.big_number, list(sent.tags)) == (5, ["x", "x", "y"])
    sent = _only(_source(data={"name": "{{$x := newUUID}}{{$x}}", "tags": ["{{$x}}"]}))
    assert sent.name == sent.tags[0]
    across = [{"name": "{{$x := newUUID}}{{$x}}"}, {"name": "{{$x}}"}]
    one, other = _messages(_source("Collect", data=across).payload(_moment()))
    assert one.name == other.name != ""


def test_what_does_not_change_is_made_once() -> None:
    """Data without templates, or with such as give the same for every call."""
    assert isinstance(_source(data={"name": "{{.MethodName}}"}), Fixed)
    assert not isinstance(_source(data={"name": "{{.RequestNumber}}"}), Fixed)
    assert not isinstance(_source(data={"name": "{{randomInt 0 5}}"}), Fixed)
    # Whatever it uses of it.
    whole = _source(data={"name": '{{define "n"}}{{.RequestNumber}}{{end}}{{template "n" .}}'})
    assert [_only(whole, number).name for number in (0, 3)] == ["0", "3"]


def test_templates_can_be_switched_off() -> None:
    """All of them, or their functions."""
    raw = _source(data={"name": "{{nothing"}, metadata={"a": "{{.B}}"}, disable_template_data=True)
    assert _only(raw).name == "{{nothing"
    assert raw.payload(_moment()).metadata == (("a", "{{.B}}"),)
    with pytest.raises(DataError, match=r"newUUID.*switched off"):
        _source(data={"name": "{{newUUID}}"}, disable_template_functions=True)
    plain = _source(data={"name": "{{.RequestNumber}}"}, disable_template_functions=True)
    assert _only(plain, 3).name == "3"


def test_messages_of_a_stream_are_made_when_they_are_sent() -> None:
    """Each with a UUID of its own, in the call with its own number."""
    data = [{"name": "{{.UUID}}", "bigNumber": "{{.RequestNumber}}"}, {"name": "fixed"}]
    payload = _source("Collect", data=data, stream_dynamic_messages=True).payload(_moment(6))
    assert payload.regenerate is not None
    assert len(payload.messages) == 2
    parse = message_class("EchoRequest").FromString
    sent = [parse(payload.regenerate(index)) for index in (0, 1, 0)]
    assert [each.big_number for each in sent] == [6, 0, 6]
    assert sent[1].name == "fixed"
    assert len({each.name for each in sent}) == 3
    # Else all are made at the beginning.
    assert _source("Collect", data=data).payload(_moment()).regenerate is None
    with pytest.raises(ConfigError, match=r"^stream-dynamic-messages: .*without templates"):
        _source("Collect", data=[{"name": "a"}], stream_dynamic_messages=True)
    with pytest.raises(ConfigError, match=r"^stream-dynamic-messages: .*binary"):
        _source(binary=True, stdin=_encoded(name="a"), stream_dynamic_messages=True)


def test_binary_data_is_one_message_or_several(tmp_path: Path) -> None:
    """Several have their lengths before them; what looks like it only in part is one."""
    one, other = _encoded(name="one"), _encoded(name="other")
    several = _source(binary=True, stdin=_delimited(one, other))
    assert [_only(several, number).name for number in range(3)] == ["one", "other", "one"]
    file = tmp_path / "binary"
    file.write_bytes(_delimited(one, other))
    streamed = _source("Collect", binary_file=str(file)).payload(_moment())
    assert list(streamed.messages) == [one, other]
    assert _only(_source(binary=True, stdin=one)).name == "one"
    # Its first byte, 10, and what follows could be a length and a message, if it ended there.
    looks_so = _encoded(name="\x08" + "\x0a\x06" + "a" * 6 + "b" * 30)
    assert _only(_source(binary=True, stdin=looks_so)).name.endswith("b" * 30)
    with pytest.raises(DataError, match=r"binary from standard input: .*EchoRequest"):
        _source(binary=True, stdin=_delimited(one) + b"\x09\x01")
    with pytest.raises(DataError, match="is empty"):
        _source(binary=True)


@pytest.mark.parametrize(
    "data, message",
    [
        ({"nme": "a"}, "data: nme: there is no such field; did you mean name?"),
        (
            [{}, {"nested": {"big_number": "many"}}],
            'data[1]: nested.big_number: "many" is no integer',
        ),
        ({"tags": ["a", 5]}, "data: tags[1]: 5 is no string"),
        ({"tags": "a"}, 'data: tags: "a" is no array'),
        (
            {"counts": {"a": 2**31}},
            "data: counts.a: 2147483648 is not from -2147483648 to",
        ),
        ({"colour": "RED"}, 'data: colour: "RED" is no Colour; there is COLOUR_UNSPECIFIED, COLO'),
        ({"blob": "not base64!"}, 'data: blob: "not base64!" is no string of base64'),
        ({"at": "noon"}, "data: at: "),
        ({"nested": []}, "data: nested: [] is no JSON object"),
        ([], "data: is an empty array"),
        ("text", "data: is neither a JSON object nor an array of objects"),
        ({"big_number": "{{.WorkerID}}"}, 'data: big_number: "g0c0" is no integer'),
        ({"name": "{{.Worker}}"}, "data: template, line 1, column 3, at .Worker: there is no vari"),
        ({"name": "{{.UUID"}, "data: template, "),
    ],
)
def test_bad_data_is_refused_before_the_run(data: Any, message: str) -> None:
    """And its field is named."""
    with pytest.raises(DataError) as caught:
        _source(data=data)
    assert str(caught.value).startswith(message)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    """Those that are missing, empty or no JSON."""
    with pytest.raises(DataError, match=r"^data-file \S+missing: cannot be read: No such file"):
        _source(data_file=str(tmp_path / "missing"))
    file = tmp_path / "data.json"
    file.write_text(" \n")
    with pytest.raises(DataError, match=r"^data-file \S+: is empty"):
        _source(data_file=str(file))
    file.write_text('{"name": }')
    with pytest.raises(DataError, match=r"^data-file \S+: is no JSON: .* line 1 column 10"):
        _source(data_file=str(file))
    with pytest.raises(DataError, match=r"^metadata-file \S+: cannot be read"):
        _source(metadata_file=str(tmp_path / "missing"))


def test_metadata_is_as_grpc_takes_it(tmp_path: Path) -> None:
    """Keys in lower case, binary values decoded, from a map or from a file, which wins."""
    binary = base64.b64encode(b"\x00\xff").decode()
    made = _source(metadata={"X-Request-Id": "a {{.RequestNumber}}", "Trace-BIN": binary})
    assert made.payload(_moment(3)).metadata == (
        ("x-request-id", "a 3"),
        ("trace-bin", b"\x00\xff"),
    )
    file = tmp_path / "metadata.json"
    file.write_text('{"{{.MethodName}}": "{{.RequestNumber}}"}')
    made = _source(metadata={"a": "b"}, metadata_file=str(file))
    assert made.payload(_moment(5)).metadata == (("echo", "5"),)


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"a b": "c"}, "metadata: 'a b' is no key"),
        ({"grpc-timeout": "1S"}, "metadata: 'grpc-timeout' is a key of gRPC itself"),
        ({"a": "naïve"}, "metadata: the value of a has other characters than printable ASCII"),
        ({"a-bin": "?"}, "metadata: the value of a-bin is no base64"),
        # ghz would send the template.
        ({"a": "{{.Nothing}}"}, "metadata: template, line 1, column 3, at .Nothing"),
    ],
)
def test_bad_metadata_is_refused_before_the_run(metadata: dict[str, str], message: str) -> None:
    """GRPC would refuse each call by it."""
    with pytest.raises(DataError) as caught:
        _source(metadata=metadata)
    assert str(caught.value).startswith(message)


def test_an_error_in_the_run_names_the_call() -> None:
    """If a template gives something else then."""
    made = _source(data={"bigNumber": "{{if gt .RequestNumber 3}}many{{else}}1{{end}}"})
    assert _only(made, 3).big_number == 1
    with pytest.raises(DataError, match=r'^call 4: bigNumber: "many" is no integer'):
        made.payload(_moment(4))
    assert _only(made, 2).big_number == 1


ROWS = [Row(id=str(number), name=f"row {number}") for number in range(10)]


def _of_rows(data: Any, metadata: dict[str, str] | None = None, **options: Any) -> Source:
    made = source_of_call(_method(), data, metadata or {}, rows=ROWS, **options)
    sent: Source = pickle.loads(pickle.dumps(made))  # noqa: S301
    return sent


def test_an_empty_array_is_a_stream_of_no_messages() -> None:
    """Unless it shall be begun anew until there are so many; other calls refuse it."""
    assert _messages(_source("Collect", data=[]).payload(_moment())) == []
    with pytest.raises(ConfigError, match=r"stream-call-count: .* empty array"):
        _source("Collect", data=[], stream_call_count=2)
    with pytest.raises(ConfigError, match=r"stream-call-count: .* empty array"):
        source_of_call(_method("Collect"), [], {}, count=2)
    with pytest.raises(DataError, match="data: is an empty array"):
        source_of_call(_method(), [], {})


def test_rows_are_used_evenly_and_those_of_a_call_belong_together() -> None:
    """In turn whatever the numbers of the calls; what depends on the row alone is kept."""
    made = _of_rows({"name": "{{.Row.name}}"}, {"id": "{{.Row.id}}"})
    assert isinstance(made, Fixed)
    seen: Counter[str] = Counter()
    # Every tenth call of a run, as in a scenario.
    for number in range(0, 300, 10):
        payload = made.payload(_moment(number))
        [message] = _messages(payload)
        assert payload.metadata == (("id", message.name.removeprefix("row ")),)
        seen[message.name] += 1
    assert seen == {row["name"]: 3 for row in ROWS}


def test_rows_at_random_with_other_variables() -> None:
    """Each of them comes; the rest of the message is made for each call."""
    made = _of_rows({"name": "{{.Row.id}} {{.UUID}}"}, order=Order.RANDOM)
    sent = [_only(made).name.split() for _ in range(1000)]
    assert {row for row, _ in sent} == {row["id"] for row in ROWS}
    assert len({uuid for _, uuid in sent}) == 1000


def test_every_row_is_tried_before_the_run() -> None:
    """An error names the row, or the column that isn't there."""
    with pytest.raises(DataError, match=r'^data with row 1: bigNumber: "row 0" is no integer'):
        _of_rows({"bigNumber": "{{.Row.name}}"})
    with pytest.raises(DataError, match=r"^metadata with row 1: .*no column 'nam'; there is id"):
        _of_rows({}, {"a": "{{.Row.nam}}"})
    with pytest.raises(DataError, match="there is no variable Row"):
        _source(data={"name": "{{.Row.id}}"})


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("a.csv", '\ufeffid,name\n1,"a, b"\n2,\n\n', [("1", "a, b"), ("2", "")]),
        ("a.json", '[{"id": 1, "name": {"first": "x"}}]', [(1, {"first": "x"})]),
        ("a.jsonl", '{"id": 1, "name": "x"}\n\n{"id": 2, "name": "y"}\n', [(1, "x"), (2, "y")]),
        ("a.csv", "id,name\n1\n", "line 2: has 1 fields, and the header 2"),
        ("a.csv", "id,id\n1,2\n", "line 1: every column needs a name of its own"),
        ("a.csv", "id,name\n", "has no rows"),
        ("a.json", '{"id": 1}', "is no JSON array of objects"),
        ("a.jsonl", '{"id": 1}\n[]', "line 2: is no JSON object"),
        ("a.jsonl", '{"id": 1}\n{', "line 2: is no JSON: "),
        ("a.txt", "", "must end with one of .csv, .json"),
    ],
)
def test_rows_of_files(tmp_path: Path, name: str, text: str, expected: Any) -> None:
    """CSV with a header, a JSON array, or JSON lines; errors name the line."""
    path = tmp_path / name
    path.write_text(text)
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            read_rows(path)
        assert str(caught.value).startswith(f"{path}: {expected}")
    else:
        assert [(row["id"], row["name"]) for row in read_rows(path)] == expected
