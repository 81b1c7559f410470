"""The options of a run: one table, which the command line, files and their checks are made from.

Names, defaults and meanings are those of ghz, version 0.121. Source: `cmd/ghz/main.go` and
`runner/config.go` of ghz.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from load.config.model import Config


class Kind(Enum):
    """What the value of an option is; the text stands for it in the help."""

    TEXT = "TEXT"
    PATH = "PATH"
    SWITCH = ""
    COUNT = "N"
    """A whole number that is not negative."""
    NUMBER = "±N"
    """A whole number."""
    DURATION = "DURATION"
    SIZE = "SIZE"
    WORD = "WORD"
    """One of some words."""
    LIST = "A,B"
    MAP = "JSON"
    """Texts by name."""
    DATA = "JSON|@"

    @property
    def textual(self) -> bool:
        """Whether a file has it as a text."""
        return self in (Kind.TEXT, Kind.PATH, Kind.DURATION, Kind.SIZE, Kind.WORD)


class Group(Enum):
    """Options that belong together, as the help shows them."""

    CALL = "What is called"
    CONNECTION = "How it is connected to"
    AMOUNT = "How much, and for how long"
    LOAD = "Calls per second over time"
    CONCURRENCY = "Workers over time"
    DATA = "What is sent"
    STREAM = "How streams behave"
    OUTPUT = "What is told"


_FIELDS: Final[Mapping[str, Any]] = {each.name: each for each in msgspec.structs.fields(Config)}


@dataclass(frozen=True, slots=True)
class Option:
    """An option."""

    field: str
    """Its name in `Config`."""
    kind: Kind
    group: Group
    help: str
    short: str = ""
    """Its short flag, without the dash."""
    words: Sequence[str] = ()
    """Those that it takes, where it takes one of some words."""
    is_argument: bool = False
    """Whether the command line has it as an argument, not as a flag."""
    in_ghz: bool = True
    """Whether ghz knows it in a file."""

    @property
    def key(self) -> str:
        """Its key in a file, which is the name of its long flag too."""
        key: str = _FIELDS[self.field].encode_name
        return key

    @property
    def default(self) -> Any:  # noqa: ANN401 - as the field of `Config` has it.
        """What it is on the command line when nobody says."""
        return _FIELDS[self.field].default


SCHEDULES: Final = ("const", "step", "line")
FORMATS: Final = (
    *("summary", "csv", "json", "pretty", "html", "influx-summary", "influx-details"),
    *("prometheus", "openmetrics", "junit", "github"),
)
"""The names of the forms that a report can have; the last three are not ghz's."""

FILE_DEFAULTS: Final[Mapping[str, Any]] = {"concurrency_start": 1, "concurrency_step": 0}
"""What is not the same when a file that doesn't say is read, as ghz has it."""

OPTIONS: Final = (
    Option("host", Kind.TEXT, Group.CALL, "The server, as host:port.", is_argument=True),
    Option("call", Kind.TEXT, Group.CALL, "The method: package.Service/Method, or with a dot."),
    Option("proto", Kind.PATH, Group.CALL, "The .proto file that defines it."),
    Option("protoset", Kind.PATH, Group.CALL, "Its compiled descriptors; --proto goes first."),
    Option(
        "stubs",
        Kind.TEXT,
        Group.CALL,
        "A generated Python module, such as package.thing_service_pb2.",
        in_ghz=False,
    ),
    Option(
        "import_paths",
        Kind.LIST,
        Group.CALL,
        "Folders in which --proto finds its imports; its own and the current one are among them.",
        short="i",
    ),
    Option(
        "reflect_metadata",
        Kind.MAP,
        Group.CALL,
        "Metadata for asking the server for its methods, if nothing else defines them.",
    ),
    Option("insecure", Kind.SWITCH, Group.CONNECTION, "Without TLS."),
    Option(
        "skip_tls", Kind.SWITCH, Group.CONNECTION, "With TLS, but trusting whatever the server is."
    ),
    Option("cacert", Kind.PATH, Group.CONNECTION, "Trust these certificates, and no others."),
    Option("cert", Kind.PATH, Group.CONNECTION, "The certificate of the client; with --key."),
    Option("key", Kind.PATH, Group.CONNECTION, "The private key of the client; with --cert."),
    Option("cname", Kind.TEXT, Group.CONNECTION, "The name in the certificate of the server."),
    Option("authority", Kind.TEXT, Group.CONNECTION, "What to send as :authority."),
    Option(
        "connections",
        Kind.COUNT,
        Group.CONNECTION,
        "How many connections the workers share; at most --concurrency.",
    ),
    Option(
        "connect_timeout",
        Kind.DURATION,
        Group.CONNECTION,
        "How long connecting may take; 0: for ever.",
    ),
    Option("keepalive", Kind.DURATION, Group.CONNECTION, "The time between two pings; 0: none."),
    Option("lb_strategy", Kind.TEXT, Group.CONNECTION, "How calls are balanced, for dns:///hosts."),
    Option(
        "enable_compression", Kind.SWITCH, Group.CONNECTION, "Compress what is sent.", short="e"
    ),
    Option(
        "max_recv_message_size", Kind.SIZE, Group.CONNECTION, "The largest answer, such as 16MiB."
    ),
    Option("max_send_message_size", Kind.SIZE, Group.CONNECTION, "The largest message to send."),
    Option(
        "concurrency",
        Kind.COUNT,
        Group.AMOUNT,
        "How many workers there are: each makes one call after the other.",
        short="c",
    ),
    Option("total", Kind.COUNT, Group.AMOUNT, "How many calls are made.", short="n"),
    Option(
        "duration",
        Kind.DURATION,
        Group.AMOUNT,
        "For how long calls are made, however many they are.",
        short="z",
    ),
    Option(
        "max_duration",
        Kind.DURATION,
        Group.AMOUNT,
        "For how long at most: a --total that is set may be reached before.",
        short="x",
    ),
    Option(
        "duration_stop",
        Kind.WORD,
        Group.AMOUNT,
        "What becomes of calls in flight when the time is over: they are cut off and counted as"
        " Unavailable, waited for, or left out.",
        words=("close", "wait", "ignore"),
    ),
    Option("rps", Kind.COUNT, Group.AMOUNT, "How many calls begin per second; 0: any.", short="r"),
    Option(
        "asynchronous",
        Kind.SWITCH,
        Group.AMOUNT,
        "Workers do not wait for the answer before they make the next call.",
    ),
    Option(
        "timeout", Kind.DURATION, Group.AMOUNT, "How long a call may take; 0: for ever.", short="t"
    ),
    Option("cpus", Kind.COUNT, Group.AMOUNT, "How many cores to use at most; 0: all."),
    Option(
        "load_schedule", Kind.WORD, Group.LOAD, "How the rate changes over time.", words=SCHEDULES
    ),
    Option("load_start", Kind.COUNT, Group.LOAD, "The rate at the beginning."),
    Option("load_end", Kind.COUNT, Group.LOAD, "The rate in the end."),
    Option("load_step", Kind.NUMBER, Group.LOAD, "What each step adds; of a line, each second."),
    Option("load_step_duration", Kind.DURATION, Group.LOAD, "How long a step takes."),
    Option("load_max_duration", Kind.DURATION, Group.LOAD, "For how long the rate changes."),
    Option(
        "concurrency_schedule",
        Kind.WORD,
        Group.CONCURRENCY,
        "How the number of workers changes over time.",
        words=SCHEDULES,
    ),
    Option("concurrency_start", Kind.COUNT, Group.CONCURRENCY, "How many there are at first."),
    Option("concurrency_end", Kind.COUNT, Group.CONCURRENCY, "How many there are in the end."),
    Option(
        "concurrency_step",
        Kind.NUMBER,
        Group.CONCURRENCY,
        "What each step adds; of a line, each second.",
    ),
    Option("concurrency_step_duration", Kind.DURATION, Group.CONCURRENCY, "How long a step takes."),
    Option(
        "concurrency_max_duration",
        Kind.DURATION,
        Group.CONCURRENCY,
        "For how long their number changes.",
    ),
    Option(
        "data",
        Kind.DATA,
        Group.DATA,
        "A message as JSON, or an array of them that are used in turn; @: from standard input.",
        short="d",
    ),
    Option("data_file", Kind.PATH, Group.DATA, "A file of such JSON.", short="D"),
    Option(
        "binary",
        Kind.SWITCH,
        Group.DATA,
        "Standard input is an encoded message, or several, each after its length.",
        short="b",
        in_ghz=False,
    ),
    Option("binary_file", Kind.PATH, Group.DATA, "A file of such messages.", short="B"),
    Option("metadata", Kind.MAP, Group.DATA, "The metadata; keys in -bin have base64.", short="m"),
    Option("metadata_file", Kind.PATH, Group.DATA, "A file of such JSON.", short="M"),
    Option(
        "disable_template_functions",
        Kind.SWITCH,
        Group.DATA,
        "Without functions in the templates of data and metadata.",
    ),
    Option("disable_template_data", Kind.SWITCH, Group.DATA, "Without templates."),
    Option(
        "stream_interval", Kind.DURATION, Group.STREAM, "The time between two messages of a stream."
    ),
    Option(
        "stream_call_duration", Kind.DURATION, Group.STREAM, "After which time a stream is ended."
    ),
    Option(
        "stream_call_count", Kind.COUNT, Group.STREAM, "After how many messages a stream is ended."
    ),
    Option(
        "stream_dynamic_messages",
        Kind.SWITCH,
        Group.STREAM,
        "Each message of a stream is made anew from its template.",
    ),
    Option("output", Kind.PATH, Group.OUTPUT, "Where the report goes; else it is shown.", "o"),
    Option("format", Kind.WORD, Group.OUTPUT, "The form of the report.", "O", words=FORMATS),
    Option("skip_first", Kind.COUNT, Group.OUTPUT, "Leave the first calls out."),
    Option("count_errors", Kind.SWITCH, Group.OUTPUT, "Failed calls count in latencies too."),
    Option("name", Kind.TEXT, Group.OUTPUT, "The name of the run."),
    Option("tags", Kind.MAP, Group.OUTPUT, "Texts by name, which the report has."),
    Option("debug", Kind.PATH, Group.OUTPUT, "A file for what happens, as lines of JSON."),
)
