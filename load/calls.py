"""A call as plain data: which method, what is sent, and how a stream behaves.

All of it can be pickled: it is made once, and handed to every process that generates load.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
"""Keys in lower case; the values of keys that end with `-bin` are bytes."""


class Kind(Enum):
    """Which side of a method streams."""

    UNARY = "unary"
    CLIENT_STREAM = "client-streaming"
    SERVER_STREAM = "server-streaming"
    BIDI_STREAM = "bidi"

    @property
    def client_streams(self) -> bool:
        """Whether the client sends any number of messages."""
        return self in (Kind.CLIENT_STREAM, Kind.BIDI_STREAM)

    @property
    def server_streams(self) -> bool:
        """Whether the server sends any number of messages."""
        return self in (Kind.SERVER_STREAM, Kind.BIDI_STREAM)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service, with all that is needed to make its messages."""

    service: str
    """The full name of the service: `package.Service`."""
    name: str
    kind: Kind
    input_type: str
    """The full name of the request message."""
    output_type: str
    """The full name of the answer."""
    descriptors: bytes
    """A `google.protobuf.FileDescriptorSet` of the file of the method and all that it imports."""

    @property
    def path(self) -> str:
        """The path on the wire."""
        return f"/{self.service}/{self.name}"

    @property
    def full_name(self) -> str:
        """The fully qualified name: `package.Service.Method`."""
        return f"{self.service}.{self.name}"


class Moment(NamedTuple):
    """What is known of a call that is about to be made."""

    number: int
    """From 0, unique among all calls of a run."""
    worker: str
    """The worker that makes it, as ghz names it: `g0c0`, before it the name of the run."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What one call sends."""

    messages: Sequence[bytes]
    """Encoded; exactly one unless the client streams."""
    metadata: Metadata = ()
    regenerate: "Regenerate | None" = None
    """With `stream-dynamic-messages`: makes each message at the moment that it is sent."""


class Regenerate(Protocol):
    """Makes the messages of one stream, one by one."""

    def __call__(self, index: int) -> bytes:
        """Return the message with this index, from 0, of those in `messages`, encoded.

        Raises:
            DataError: The data does not make a message.
        """


class Source(Protocol):
    """Makes what each call sends. Can be pickled."""

    def payload(self, moment: Moment) -> Payload:
        """Return what a call sends; made anew where a template says so, else kept.

        Raises:
            DataError: The data does not make a message.
        """


@dataclass(frozen=True, slots=True)
class Stream:
    """How the client of a stream behaves."""

    interval: float = 0
    """How many seconds it waits between two messages that it sends."""
    duration: float = 0
    """After how many seconds it ends the stream; 0: never."""
    count: int = 0
    """After how many messages it ends the stream, beginning anew with the first; 0: after all."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is made again and again."""

    method: Method
    source: Source
    weight: float = 1
    """How often, compared with the other calls of the run."""
    timeout: float = 20
    """After how many seconds it is given up; 0: never."""
    stream: Stream = field(default_factory=Stream)
