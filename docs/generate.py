"""Generate the references: `python docs/generate.py FOLDER`.

All of it is in the contract, the settings and the options already; nothing is to be said twice.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import click
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from buf.validate import validate_pb2
from load.cli import main as patron_load
from load.cli.options import Flag
from load.config import options as load_options
from patron.options.v1 import options_pb2
from server.settings import Settings

PROTOS: Final = Path(__file__).parents[1] / "protos"
ERRORS: Final = "patron.error.v1"
OPTIONS: Final = "patron.options.v1"

_API: Final = """\
# API reference

Generated from the contract in [protos/](../protos/patron) by `make generate`.

- Every call needs the metadata `authorization: Bearer <token>`. The token names the merchant and
  must have the scope of the RPC.
- *Safe to retry* says that the same request may be sent again when its outcome is not known.
- The budget is [what a call is taken from](concepts.md#limits-and-a-server-that-is-busy).
- *Cacheable* says for how long an answer may be served again if nothing is written meanwhile.
  [Reading your own writes](concepts.md#reading-your-own-writes) tells how to get nothing older than
  what you have seen.
- *Rule* says what a field accepts. A request that breaks a rule is refused with
  [FIELD_INVALID](errors.md), and every violation is named.
- The trailer `patron-revision` of a write is the revision that its answer names; with
  `patron-replayed: true` the answer is that of an earlier request with the same `request_id`.

Errors are listed in [errors.md](errors.md); terms are explained in [concepts.md](concepts.md).
"""

_ERRORS: Final = """\
# Errors

Generated from [the contract](../protos/patron/error/v1/error_reason.proto) by `make generate`.

An error is a `google.rpc.Status`. Its details always have an `ErrorInfo` with a stable `reason`,
the domain `patron.dev` and, where the table says so, metadata. Decide by the reason, never by the
text. These details come where they fit:

| detail | says |
| --- | --- |
| `BadRequest` | which fields of the request are wrong, and why |
| `RetryInfo` | how long to wait before the next try |
| `QuotaFailure` | which budget is used up |
| `RequestInfo` | the opaque id of an unexpected error; the server's log has it too |

Refusals by the transport itself, such as of a message that is too large, carry the code alone.

After `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RATE_LIMITED` and `WRITE_CONTENDED`, send the same
request with the same `request_id` again. After `ETAG_STALE`, read first. The other errors come
again until the request, the token or the data has changed.
"""

_SETTINGS: Final = """\
# Settings

Generated from [server/settings.py](../server/settings.py) by `make generate`. `patron serve --help`
tells the same. A variable that is set to nothing counts as not set.
"""

_LOAD: Final = """\
# Options of patron-load

Generated from [load/config/options.py](../load/config/options.py) and [load/cli](../load/cli) by
`make generate`. `patron-load --help` tells the same; the [guide](load-testing.md) tells how to use
them.

- The server is the argument, `host:port`; in a file it is the key `host`.
- In a file of JSON, TOML or YAML, the key of an option is the name of its long flag.
- ★: ghz has no such option; of `--binary`, no such key in a file. The others are as in ghz 0.121
  where the guide [doesn't say otherwise](load-testing.md#what-is-not-as-in-ghz).
- Every switch can be undone by its `--no-` form. Durations are Go's: `500ms`, `20s`, `1m30s`.
"""

_PHRASES: Final[dict[str, Callable[[Any], str]]] = {
    "uuid": lambda _: "a UUID",
    "pattern": lambda pattern: f"matches `{pattern}`",
    "not_contains": lambda text: f"without `{text.encode('unicode_escape').decode()}`",
    "defined_only": lambda _: "a named value",
    "not_in": lambda values: "not " + ", ".join(map(str, values)),
}
_RANGES: Final = (
    ("min_len", "max_len", " characters"),
    ("min_items", "max_items", " items"),
    ("gte", "lte", ""),
)
_OF_GHZ: Final = {"config", *(each.field for each in load_options.OPTIONS if each.in_ghz)}
_LABEL: Final = {FieldDescriptorProto.LABEL_REPEATED: "repeated "}


def generate(target: Path) -> None:
    """Write the pages into `target`, the same bytes for the same contract and settings.

    Raises:
        subprocess.CalledProcessError: protoc refused a proto; it has printed why.
    """
    protos = [File(proto) for proto in _read_protos()]
    target.mkdir(parents=True, exist_ok=True)
    pages = {
        "api.md": _api([file for file in protos if file.package not in (ERRORS, OPTIONS)]),
        "errors.md": _errors([file for file in protos if file.package == ERRORS]),
        "settings.md": _settings(),
        "load-options.md": _load_options(),
    }
    for name, blocks in pages.items():
        text = "\n\n".join(block.strip() for block in blocks)
        (target / name).write_text(text + "\n", encoding="utf-8")


def _read_protos() -> Iterable[FileDescriptorProto]:
    protos = sorted((PROTOS / "patron").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "descriptors")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={PROTOS}",
                f"--proto_path={files('grpc_tools') / '_proto'}",
                "--include_source_info",
                f"--descriptor_set_out={output}",
                *map(str, protos),
            ],
            check=True,
        )
        return FileDescriptorSet.FromString(output.read_bytes()).file


class File:
    """A proto with its comments."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self.package = proto.package
        self._comments = {
            tuple(location.path): location.leading_comments
            for location in proto.source_code_info.location
        }

    def paragraphs(self, *path: int) -> list[str]:
        """Return the comment of what is at the path, as descriptor.proto numbers it."""
        lines = (line.strip() for line in self._comments.get(path, "").split("\n"))
        return [text.replace("\n", " ") for text in "\n".join(lines).strip().split("\n\n")]


def _api(protos: Sequence[File]) -> Iterator[str]:
    yield _API
    yield "## All RPCs"
    yield _table(
        ("RPC", "what it does", "scope"),
        (
            (
                f"[{service.name}.{method.name}](#{method.name.lower()})",
                # "etc." and the like don't occur in the first sentences.
                file.paragraphs(6, i, 2, j)[0].partition(". ")[0].rstrip("."),
                f"`{_policy(method).scope}`",
            )
            for file in protos
            for i, service in enumerate(file.proto.service)
            for j, method in enumerate(service.method)
        ),
    )
    for package in sorted({file.package for file in protos}):
        own = [file for file in protos if file.package == package]
        yield f"## {package}"
        yield from own[0].paragraphs(2)
        messages = {
            f".{package}.{message.name}": (file, i, message)
            for file in own
            for i, message in enumerate(file.proto.message_type)
        }
        for file in own:
            for i in range(len(file.proto.service)):
                yield from _service(file, i, messages)
        for file, i, message in messages.values():
            yield f"### {message.name}"
            yield from file.paragraphs(4, i)
            yield _fields(file, i, message)
        for file in own:
            for i, enum in enumerate(file.proto.enum_type):
                yield f"### {enum.name}"
                yield from file.paragraphs(5, i)
                yield _values(file, i, enum)


def _service(
    file: File, i: int, messages: dict[str, tuple[File, int, DescriptorProto]]
) -> Iterator[str]:
    """Describe a service; its requests and answers are taken out of the messages."""
    service = file.proto.service[i]
    yield f"### {service.name}"
    yield from file.paragraphs(6, i)
    for j, method in enumerate(service.method):
        yield f"#### {method.name}"
        yield from file.paragraphs(6, i, 2, j)
        yield _describe_policy(method)
        for type_name, streams in (
            (method.input_type, method.client_streaming),
            (method.output_type, method.server_streaming),
        ):
            name = _short(type_name)
            file_, at, message = messages.pop(type_name)
            if not message.field:
                yield f"`{name}` has no fields."
                continue
            yield f"A stream of `{name}`:" if streams else f"`{name}`:"
            yield _fields(file_, at, message)


def _policy(method: MethodDescriptorProto) -> options_pb2.MethodPolicy:
    return method.options.Extensions[options_pb2.policy]


def _describe_policy(method: MethodDescriptorProto) -> str:
    policy = _policy(method)
    reads = method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    budget = options_pb2.RateLimitClass.Name(policy.rate_limit_class)
    facts = [
        f"Scope `{policy.scope}`",
        f"feature `{policy.feature}`" if policy.feature else "",
        f"budget {budget.removeprefix('RATE_LIMIT_CLASS_').lower()}",
        "changes nothing" if reads else "",
        "safe to retry" if policy.retry_safe else "not safe to retry",
        f"cacheable for {policy.cache_ttl.ToSeconds()} s" if policy.HasField("cache_ttl") else "",
    ]
    return "; ".join(filter(None, facts)) + "."


def _fields(file: File, i: int, message: DescriptorProto) -> str:
    return _table(
        ("field", "type", "meaning", "rule"),
        (
            (
                f"`{field.name}`",
                _type(field, message),
                "<br>".join(file.paragraphs(4, i, 2, j)),
                _describe_rules(field),
            )
            for j, field in enumerate(message.field)
        ),
    )


def _values(file: File, i: int, enum: EnumDescriptorProto) -> str:
    return _table(
        ("value", "number", "meaning"),
        (
            (f"`{value.name}`", str(value.number), " ".join(file.paragraphs(5, i, 2, j)))
            for j, value in enumerate(enum.value)
        ),
    )


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    name = _short(field.type_name)
    if field.type_name.startswith(".patron."):
        name = f"[{name}](#{name.lower()})"
    elif not name:
        name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.proto3_optional:
        return f"optional {name}"
    if field.HasField("oneof_index"):
        return f"{name}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return _LABEL.get(field.label, "") + name


def _short(type_name: str) -> str:
    return type_name.rpartition(".")[2]


def _describe_rules(field: FieldDescriptorProto) -> str:
    """Return in words what protovalidate checks of the field."""
    rules = field.options.Extensions[validate_pb2.field]
    phrases = ["required"] if rules.required else []
    kind = rules.WhichOneof("type")
    if kind is not None:
        phrases += _describe_kind(
            {of.name: value for of, value in getattr(rules, kind).ListFields()}
        )
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        phrases.append("or empty")
    phrases += [rule.message for rule in rules.cel]
    return ", ".join(phrases)


def _describe_kind(facts: dict[str, Any]) -> Iterator[str]:
    for low, high, unit in _RANGES:
        least, most = facts.pop(low, None), facts.pop(high, None)
        if isinstance(least, Timestamp):
            yield f"not before {least.ToJsonString()}"
        elif isinstance(least, Duration):
            yield f"at least {least.ToSeconds()} s"
        elif least is not None and most is not None:
            yield f"{least:,} to {most:,}{unit}"
        elif least is not None:
            yield "not empty" if unit and least == 1 else f"at least {least:,}{unit}"
        elif most is not None:
            yield f"at most {most:,}{unit}"
    for name, value in facts.items():
        phrase = _PHRASES.get(name)
        yield phrase(value) if phrase else f"{name} `{value}`"


def _errors(protos: Sequence[File]) -> Iterator[str]:
    yield _ERRORS
    [file] = protos
    [enum] = file.proto.enum_type
    comments = [" ".join(file.paragraphs(5, 0, 2, i)) for i in range(len(enum.value))]
    found = [re.fullmatch(r"\[(\w+)\] (.+)", comment) for comment in comments]
    yield _table(
        ("reason", "code", "meaning"),
        (
            (f"`{value.name.removeprefix('ERROR_REASON_')}`", f"`{match[1]}`", match[2])
            for value, match in zip(enum.value, found, strict=True)
            if match is not None
        ),
    )


def _settings() -> Iterator[str]:
    yield _SETTINGS
    yield _table(
        ("variable", "default", "meaning"),
        (
            (
                f"`{variable.name}`",
                "" if variable.default is None else f"`{variable.default}`",
                variable.help,
            )
            for variable in Settings.variables()
        ),
    )


def _load_options() -> Iterator[str]:
    yield _LOAD
    context = click.Context(patron_load)
    headings: dict[str, list[Sequence[str]]] = {}
    for flag in patron_load.params:
        record = flag.get_help_record(context)
        if isinstance(flag, Flag) and record:
            headings.setdefault(flag.heading, []).append(_load_option(flag, *record))
    for heading, rows in headings.items():
        yield f"## {heading}"
        yield _table(("option", "default", "meaning"), rows)


def _load_option(flag: Flag, names: str, text: str) -> Sequence[str]:
    """Return the row of an option, from what the help says of it."""
    words, *notes = re.split(r"  \[|\]  \[|\]$", text)
    defaults = [note.removeprefix("default: ") for note in notes if note.startswith("default: ")]
    if flag.name in load_options.FILE_DEFAULTS:
        defaults = [*(defaults or ["0"]), f"in files {load_options.FILE_DEFAULTS[flag.name]}"]
    star = "" if flag.name in _OF_GHZ else " ★"
    return f"`{names}`{star}", ", ".join(defaults), words


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
