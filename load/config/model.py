"""A run as ghz's options say it, resolved."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.replace("_", "-")):
    """Every option of a run, by the key that a configuration file has for it.

    Durations are nanoseconds, as in reports. The defaults are those of the command line; the few
    that differ in a file are put in by its reader.

    Source: `runner/config.go` and `cmd/ghz/main.go` of ghz.
    """

    proto: str = ""
    protoset: str = ""
    stubs: str = ""
    """A generated module, `package.thing_service_pb2`; not in ghz."""
    import_paths: Sequence[str] = ()
    call: str = ""

    cacert: str = ""
    cert: str = ""
    key: str = ""
    cname: str = ""
    skip_tls: bool = msgspec.field(default=False, name="skipTLS")
    insecure: bool = False
    authority: str = ""

    concurrency: int = 50
    total: int = 200
    rps: int = 0
    asynchronous: bool = msgspec.field(default=False, name="async")

    load_schedule: str = "const"
    load_start: int = 0
    load_end: int = 0
    load_step: int = 0
    load_step_duration: int = 0
    load_max_duration: int = 0

    concurrency_schedule: str = "const"
    concurrency_start: int = 0
    concurrency_end: int = 0
    concurrency_step: int = 1
    concurrency_step_duration: int = 0
    concurrency_max_duration: int = 0

    timeout: int = 20_000_000_000
    duration: int = 0
    max_duration: int = 0
    duration_stop: str = "close"

    data: Any = None
    """A JSON object or array of objects; the text `@`: it is read from standard input."""
    data_file: str = ""
    binary: bool = False
    """Whether a binary message is read from standard input."""
    binary_file: str = ""
    metadata: Mapping[str, str] | None = None
    metadata_file: str = ""
    reflect_metadata: Mapping[str, str] | None = None

    stream_interval: int = 0
    stream_call_duration: int = 0
    stream_call_count: int = 0
    stream_dynamic_messages: bool = False

    output: str = ""
    format: str = "summary"
    skip_first: int = msgspec.field(default=0, name="skipFirst")
    count_errors: bool = False

    connections: int = 1
    connect_timeout: int = 10_000_000_000
    keepalive: int = 0
    lb_strategy: str = ""

    name: str = ""
    tags: Mapping[str, str] | None = None
    cpus: int = 0
    """How many cores are used at most; 0: all that this process may use."""
    debug: str = ""
    enable_compression: bool = False
    max_recv_message_size: str = ""
    """As people write it, such as `4MiB`."""
    max_send_message_size: str = ""
    disable_template_functions: bool = False
    disable_template_data: bool = False
    host: str = ""
