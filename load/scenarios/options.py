"""Which of ghz's options scenarios have, and where."""

from collections.abc import Mapping, Sequence
from typing import Final

from load.config.options import OPTIONS, Group, Option

BY_FIELD: Final[Mapping[str, Option]] = {option.field: option for option in OPTIONS}
ORIGINS: Final = ("proto", "protoset", "stubs")
"""One of them says where methods are defined."""
_OF_METHODS: Final = (*ORIGINS, "import_paths")
SHARED: Final[Sequence[str]] = [
    option.field
    for option in OPTIONS
    if option.group is Group.CONNECTION
    or option.field in (*_OF_METHODS, "host", "reflect_metadata", "metadata", "timeout")
    or option.field in ("duration", "duration_stop", "total", "cpus")
    or option.field in ("name", "tags", "count_errors", "skip_first")
]
"""Those that a scenario has once, for all of its calls."""
OF_CALLS: Final = (
    *("call", *_OF_METHODS, "timeout", "data", "data_file", "metadata"),
    *("stream_interval", "stream_call_duration", "stream_call_count"),
)
"""Those that each call has, some of them instead of what holds for all."""
OF_REPORTS: Final = ("output", "format", "debug")
"""Those that flags say, and scenarios do not."""
