"""A user of locust that makes calls."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

from gevent import GreenletExit
from locust import User
from locust.env import Environment
from locust.exception import StopTest

from load.calls import Metadata
from load.config.model import Config
from load.config.pacing import seconds
from load.data.inputs import given_metadata
from load.data.metadata import metadata_of
from load.errors import ConfigError, LoadError
from load.jobs import Stop
from load.locust_plugin.channels import Defaults, MeasuredChannel
from load.locust_plugin.connections import Connections
from load.locust_plugin.metering import Meter
from load.locust_plugin.options import config_of
from load.locust_plugin.pacing import take_meant
from load.targets.connecting import target_of

_OPTIONS: Final = (
    *("insecure", "cacert", "cert", "key", "cname", "skip_tls", "authority"),
    *("connections", "connect_timeout", "keepalive", "lb_strategy", "enable_compression"),
    *("max_recv_message_size", "max_send_message_size", "metadata", "timeout", "duration_stop"),
)
_STOP_TIMEOUT: Final = "duration-stop: for how long users are waited for, --stop-timeout says"


class GrpcUser(User):
    """A user that calls a gRPC service: set `stub_class`, and call by `self.stub` in tasks.

    `self.channel` is for methods without generated code, and for further stubs: without serializers
    its messages are bytes, and `package.Service/Method` names a method. All calls are measured.

    The attributes that are None here are options of ghz, and take what a configuration file of ghz
    would have: `timeout = "5s"`. What they leave open `config` says, the path of such a file.

    A call that fails raises `CallFailed`, which ends its task if nobody catches it.
    """

    abstract = True

    stub_class: ClassVar[type[Any] | None] = None
    """What `grpcio-tools` has generated; None: there is only the channel."""
    config: ClassVar[str] = ""
    own_connection: ClassVar[bool] = False
    """Whether each user has a connection; else those of a process share `connections` of them."""

    insecure: ClassVar[bool | None] = None
    cacert: ClassVar[str | None] = None
    cert: ClassVar[str | None] = None
    key: ClassVar[str | None] = None
    cname: ClassVar[str | None] = None
    skip_tls: ClassVar[bool | None] = None
    authority: ClassVar[str | None] = None
    connections: ClassVar[int | None] = None
    connect_timeout: ClassVar[str | None] = None
    keepalive: ClassVar[str | None] = None
    lb_strategy: ClassVar[str | None] = None
    enable_compression: ClassVar[bool | None] = None
    max_recv_message_size: ClassVar[str | None] = None
    max_send_message_size: ClassVar[str | None] = None
    metadata: ClassVar[Mapping[str, str] | None] = None
    timeout: ClassVar[str | None] = None
    duration_stop: ClassVar[str | None] = Stop.IGNORE.value
    """What becomes of calls in flight when a user is stopped: `close` counts them as Unavailable.

    As with other users of locust they count for nothing, unlike with ghz: a test that goes well
    ends with exit code 0.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        try:
            # The host can be another one in the next test.
            prepared = _prepared(type(self), self.host)
            self._connections = prepared.connections
            self._connection = self._connections.lease()
        except LoadError as error:
            # As locust does when an `HttpUser` has no host.
            raise StopTest(f"{type(self).__name__}: {error}") from None
        meter = Meter(
            request=environment.events.request,
            context=self.context,
            take_meant=lambda: take_meant(self),
            count_cut_off=prepared.count_cut_off,
        )
        self.channel = MeasuredChannel(self._connection.channel, meter, prepared.defaults)
        self.stub: Any = self.stub_class(self.channel) if self.stub_class else None

    def run(self) -> None:  # type: ignore[misc]  # For what has to be done after `on_stop`.
        """Live: connect, do tasks until stopped, and end all calls."""
        killed = False
        on_stop = self.on_stop

        def note_why() -> None:
            # Here alone locust shows why a user ends: afterwards it has dropped the exception.
            nonlocal killed
            killed = isinstance(sys.exception(), GreenletExit)
            on_stop()  # type: ignore[no-untyped-call]

        self.on_stop = note_why  # type: ignore[method-assign]
        try:
            self._connection.tried.wait()
            super().run()  # type: ignore[no-untyped-call]
        finally:
            self.channel.close(killed=killed)
            self._connections.release(self._connection)


def check_users(user_classes: Iterable[type[User]], host: str | None) -> None:
    """Refuse options of users that cannot be used, before a test begins.

    Args:
        user_classes: Those that take part, of any kind.
        host: That of the command line; None: it comes later, or is that of the classes.

    Raises:
        LoadError: The text names the class and the option.
    """
    for user_class in user_classes:
        if issubclass(user_class, GrpcUser):
            try:
                config = _config(user_class, host or user_class.host)
                if config.host:
                    target_of(config)
            except LoadError as error:
                raise ConfigError(f"{user_class.__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What all users of a class have in common."""

    connections: Connections
    defaults: Defaults
    count_cut_off: bool


@cache
def _prepared(user_class: type[GrpcUser], host: str | None) -> _Prepared:
    """Return what is common to users of a class with a host.

    Raises:
        LoadError: An option cannot be used; the text names it.
    """
    config = _config(user_class, host)
    return _Prepared(
        connections=Connections(
            target_of(config), None if user_class.own_connection else config.connections
        ),
        defaults=Defaults(seconds(config.timeout) or None, _metadata(config)),
        count_cut_off=config.duration_stop == Stop.CLOSE.value,
    )


def _config(user_class: type[GrpcUser], host: str | None) -> Config:
    config = config_of(user_class, _OPTIONS, path=user_class.config, host=host)
    if config.duration_stop == Stop.WAIT.value:
        raise ConfigError(_STOP_TIMEOUT)
    _metadata(config)
    return config


def _metadata(config: Config) -> Metadata:
    templates = not config.disable_template_data
    metadata = metadata_of(given_metadata(config), templates=templates)
    if not isinstance(metadata, tuple):
        raise ConfigError("metadata: templates are not rendered here; tasks can give their own")
    return metadata
