"""All settings, from environment variables; nothing else reads the environment."""

import enum
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import environ

_PREFIX = "PATRON"
_HIGHEST_PORT = 65535
_SHORTEST_SECRET = 32
_PRODUCTION_DRAIN_SECONDS = 5.0
_OTHER_NAMES = {"sentry_dsn": "SENTRY_DSN", "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""The variables that are not named as their fields are."""
_LOG_LEVELS = ("debug", "info", "warning", "error")

_T = TypeVar("_T")


class SettingsError(Exception):
    """A setting is missing or makes no sense. The message names the variable, and no secret."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable
        self.problem = problem


class Environment(enum.StrEnum):
    """What a server is for."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Transport(enum.StrEnum):
    """Which server carries the calls."""

    AUTO = "auto"
    NATIVE = "native"
    GRPCIO = "grpcio"


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that Patron reads."""

    name: str
    default: str | None
    """What holds when it is not set, as it would be written; None: nothing."""
    help: str


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # isdecimal alone would take digits of other scripts, and int alone underscores.
        if not (text.isascii() and text.isdecimal() and lowest <= int(text) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _seconds(*, lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        problem = f"must be a number of seconds from {lowest:g} to {highest:g}"
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(problem) from None
        if not lowest <= seconds <= highest:  # Which not-a-number never is.
            raise ValueError(problem)
        return seconds

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            scheme = urlsplit(text).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes:
            # The URL may hold a password: it is not repeated.
            wanted = " or ".join(f"{scheme}://…" for scheme in schemes)
            raise ValueError(f"must be a URL like {wanted}")
        return text

    return parse


def _url_without_user(*schemes: str) -> Callable[[str], str]:
    parse_url = _url(*schemes)

    def parse(text: str) -> str:
        url = parse_url(text)
        if "@" in urlsplit(url).netloc:
            raise ValueError("must have no user and no password: they are not sent")
        return url

    return parse


def _http_url(text: str) -> str:
    url = _url("https", "http")(text)
    try:
        has_host = bool(urlsplit(url).hostname)
        _ = urlsplit(url).port
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError("must be a URL with a host, and a port if there is one")
    return url


def _header(text: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII, without spaces")
    return text


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"names a file that does not exist: {text}")
    return path


def _secret(text: str) -> str:
    if len(text) < _SHORTEST_SECRET:
        raise ValueError(f"must have at least {_SHORTEST_SECRET} characters")
    return text


def _var(
    parse: Callable[[str], _T],
    default: str | None,
    *,
    meaning: str,
    name: str | None = None,
) -> Any:  # noqa: ANN401 - the type of a field of attrs.
    def convert(value: str | None, field: "attrs.Attribute[Any]") -> _T | None:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise SettingsError(_variable_name(field.name), str(error)) from None

    converter: Any = attrs.Converter(convert, takes_field=True)
    return environ.var(default=default, converter=converter, name=name, help=meaning)


def _variable_name(field: str) -> str:
    return _OTHER_NAMES.get(field, f"{_PREFIX}_{field.upper()}")


_database_url = _url("postgresql", "postgres")


@environ.config(prefix=_PREFIX, from_environ="_from_environ", frozen=True)
class Settings:
    """What the server and its commands are set to. Each field is the variable of its name.

    Made by `load`.
    """

    environment: Environment = _var(
        lambda text: Environment(_choice(*Environment)(text)),
        Environment.DEVELOPMENT,
        meaning="What this server is for: development or production. Development brings a signing "
        "key, a secret and reflection of its own.",
    )
    host: str = _var(str, "127.0.0.1", meaning="The address on which gRPC is served.")
    port: int = _var(
        _integer(0, _HIGHEST_PORT),
        "50051",
        meaning="The port on which gRPC is served; 0: any free one.",
    )
    transport: Transport = _var(
        lambda text: Transport(_choice(*Transport)(text)),
        Transport.AUTO,
        meaning="Which server carries the calls: native, which is several times faster and knows "
        "no TLS, or grpcio. auto: native where it is installed and there is no TLS, else grpcio.",
    )
    tls_cert_file: Path | None = _var(
        _file,
        None,
        meaning="The certificate chain of the server, as PEM. Unset: gRPC is served without TLS.",
    )
    tls_key_file: Path | None = _var(
        _file, None, meaning="The private key of PATRON_TLS_CERT_FILE, as PEM."
    )
    tls_client_ca_file: Path | None = _var(
        _file,
        None,
        meaning="The authorities whose client certificates are accepted, as PEM; every client "
        "needs one then (mTLS). Unset: clients need none.",
    )
    workers: int = _var(
        _integer(1, 256),
        "1",
        meaning="How many processes serve; one for each core is a good number.",
    )
    max_in_flight: int = _var(
        _integer(1, 100_000),
        "2048",
        meaning="How many calls a worker has in flight at most. Reports are refused from 60 % of "
        "it on, reads from 80 %.",
    )
    max_streams: int = _var(
        _integer(1, 100_000), "256", meaning="How many streams a worker has open at most."
    )
    admin_host: str = _var(
        str,
        "127.0.0.1",
        meaning="The address on which /metrics, /healthz and /rollouts are served.",
    )
    admin_port: int = _var(
        _integer(0, _HIGHEST_PORT),
        "9464",
        meaning="The port on which /metrics, /healthz and /rollouts are served; 0: any free one.",
    )
    data_dir: Path = _var(
        Path,
        ".patron",
        meaning="The directory of the embedded databases and of development's keys.",
    )
    database_url: str | None = _var(
        _database_url,
        None,
        meaning="The PostgreSQL that serves, as a role that row-level security binds. Unset: one "
        "of Patron's own, in the data directory.",
    )
    database_owner_url: str | None = _var(
        _database_url,
        None,
        meaning="The same database as the role that owns the tables, for `patron db migrate`.",
    )
    database_maintenance_url: str | None = _var(
        _database_url,
        None,
        meaning="The same database as the maintenance role, for `patron merchant`, `patron db "
        "verify` and `patron db rebuild`.",
    )
    database_pool_size: int = _var(
        _integer(1, 1000),
        "10",
        meaning="How many connections to PostgreSQL a worker keeps at most.",
    )
    redis_url: str | None = _var(
        _url("redis", "rediss", "unix"),
        None,
        meaning="The Redis or Valkey to use. Unset: a Valkey of Patron's own, in the data "
        "directory.",
    )
    redis_timeout_seconds: float = _var(
        _seconds(lowest=0.001, highest=60),
        "0.1",
        meaning="How long a call waits for Redis before it goes on without it, in seconds.",
    )
    cache_local_seconds: float = _var(
        _seconds(lowest=0, highest=300),
        "5",
        meaning="How long a worker keeps an answer in its own memory, in seconds; 0: not at all.",
    )
    cache_local_mb: int = _var(
        _integer(1, 1_000_000),
        "32",
        meaning="How much memory a worker spends on answers, in MB.",
    )
    auth_jwks_file: Path | None = _var(
        _file,
        None,
        meaning="The file of the public keys (a JWK set) whose tokens are accepted. Unset in "
        "development: the key of `patron token`. In production this or the URL is required.",
    )
    auth_jwks_url: str | None = _var(
        _url_without_user("https", "http"),
        None,
        meaning="Where the public keys (a JWK set) are fetched from, instead of a file; in "
        "production by https.",
    )
    auth_jwks_refresh_seconds: float = _var(
        _seconds(lowest=1, highest=86400),
        "300",
        meaning="How often the keys are read again, from the file or the URL, in seconds.",
    )
    auth_algorithm: str = _var(
        _choice("EdDSA", "ES256", "RS256"),
        "EdDSA",
        meaning="The algorithm of the keys, EdDSA, ES256 or RS256; others in the set don't count.",
    )
    auth_issuer: str = _var(str, "patron", meaning="The issuer (iss) that a token must name.")
    auth_audience: str = _var(str, "patron", meaning="The audience (aud) that a token must name.")
    auth_leeway_seconds: float = _var(
        _seconds(lowest=0, highest=600),
        "30",
        meaning="How far the clock of a token's issuer may be off, in seconds.",
    )
    secret: str | None = _var(
        _secret,
        None,
        meaning="The key of keyed hashes and page tokens, at least 32 characters; the same on "
        "every server of one database, and never changed. Unset in development: one kept in the "
        "data directory. Required in production.",
    )
    lock_timeout_seconds: float = _var(
        _seconds(lowest=0.001, highest=3600),
        "5",
        meaning="How long a write waits for another of the same merchant or request, in seconds.",
    )
    rate_limit_read: int = _var(
        _integer(0, 10_000_000),
        "500",
        meaning="How many reads a second a merchant may make; a quarter of it at once. 0: no "
        "limit. The same for the other limits.",
    )
    rate_limit_write: int = _var(
        _integer(0, 10_000_000), "250", meaning="How many writes a second a merchant may make."
    )
    rate_limit_analytics: int = _var(
        _integer(0, 10_000_000), "500", meaning="How many reports a second a merchant may ask for."
    )
    rate_limit_bulk: int = _var(
        _integer(0, 10_000_000),
        "20",
        meaning="How many bulk transfers a second a merchant may begin.",
    )
    unleash_url: str | None = _var(
        _http_url,
        None,
        meaning="The API of the Unleash that decides who has a feature, such as "
        "http://localhost:4242/api. Unset: the flags file decides.",
    )
    unleash_token: str | None = _var(
        _header, None, meaning="A client token of Unleash; it also says which environment counts."
    )
    unleash_admin_token: str | None = _var(
        str, None, meaning="An admin token of Unleash, for `patron rollout`."
    )
    unleash_project: str = _var(
        str, "default", meaning="The project of the flags in Unleash, for `patron rollout`."
    )
    unleash_environment: str = _var(
        str,
        "production",
        meaning="The environment of Unleash in which `patron rollout` moves.",
    )
    flags_refresh_seconds: int = _var(
        _integer(1, 3600), "15", meaning="How often a worker asks Unleash for changes, in seconds."
    )
    flags_file: Path | None = _var(
        _file,
        None,
        meaning="Who has which feature while PATRON_UNLEASH_URL is unset, as Unleash's client API "
        "tells it; `patron flags export` writes such a file. Unset: Patron's own, everything on.",
    )
    flags_bootstrap_file: Path | None = _var(
        _file,
        None,
        meaning="What holds while Unleash has never been reached; a file like PATRON_FLAGS_FILE. "
        "Unset: every feature is off until then.",
    )
    rollout_flag: str = _var(
        str,
        "customer-analytics",
        meaning="The flag whose arms, treatment and control, are told apart in the metrics of the "
        "methods that no flag gates.",
    )
    rollouts_dir: Path | None = _var(
        Path,
        None,
        meaning="The directory of the rollout files, each named after its flag; the same for the "
        "server, the controller and every command, or they go by different plans. Unset: those "
        "that come with Patron.",
    )
    rollout_admin_host: str = _var(
        str,
        "127.0.0.1",
        meaning="The address on which `patron rollout run` serves /metrics, /healthz and "
        "/rollouts.",
    )
    rollout_admin_port: int = _var(
        _integer(0, _HIGHEST_PORT), "9465", meaning="The port of the same; 0: any free one."
    )
    prometheus_url: str | None = _var(
        _url("https", "http"),
        None,
        meaning="The Prometheus that has this service's metrics, for `patron rollout` and for "
        "/rollouts.",
    )
    slow_call_seconds: float = _var(
        _seconds(lowest=0, highest=3600),
        "1",
        meaning="Calls that take longer are logged, in seconds.",
    )
    log_level: str = _var(
        _choice(*_LOG_LEVELS), "info", meaning=f"What is logged at least: {', '.join(_LOG_LEVELS)}."
    )
    drain_seconds: float | None = _var(
        _seconds(lowest=0, highest=3600),
        None,
        meaning="How long a worker that is told to stop goes on taking calls while its health says "
        "NOT_SERVING, in seconds: the time that a load balancer needs to notice. Unset: 5 in "
        "production, 0 in development.",
    )
    stop_grace_seconds: float = _var(
        _seconds(lowest=0, highest=3600),
        "10",
        meaning="How long calls in flight may go on when the server stops, in seconds.",
    )
    sentry_dsn: str | None = _var(
        _url("https", "http"),
        None,
        name=_OTHER_NAMES["sentry_dsn"],
        meaning="Where unexpected errors are reported, without personal data. Unset: nowhere.",
    )

    otlp_endpoint: str | None = _var(
        _url("https", "http"),
        None,
        name=_OTHER_NAMES["otlp_endpoint"],
        meaning="Where traces are sent by OTLP over HTTP, such as http://localhost:4318; the other "
        "variables of OpenTelemetry hold too. Unset: there are no traces.",
    )

    def __repr__(self) -> str:
        # Passwords are in URLs, so the rest of the values stays out of logs and tracebacks.
        return f"<Settings for {self.environment} in {self.data_dir}>"

    @property
    def is_development(self) -> bool:
        """Whether this is a developer's own server."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def drain_pause(self) -> float:
        """How long a worker that is told to stop goes on taking calls, in seconds."""
        if self.drain_seconds is not None:
            return self.drain_seconds
        return 0.0 if self.is_development else _PRODUCTION_DRAIN_SECONDS

    @property
    def embeds_database(self) -> bool:
        """Whether no variable says where a database is, so that it is the embedded one."""
        return not (self.database_url or self.database_owner_url or self.database_maintenance_url)

    @property
    def signs_tokens(self) -> bool:
        """Whether tokens of the development key are accepted: no variable names other keys."""
        return self.is_development and not (self.auth_jwks_file or self.auth_jwks_url)

    def require_unleash(self) -> tuple[str, str]:
        """Return the URL of Unleash and the client token.

        Raises:
            SettingsError: One is missing.
        """
        if self.unleash_url is None:
            raise SettingsError("PATRON_UNLEASH_URL", "is required")
        if self.unleash_token is None:
            raise SettingsError("PATRON_UNLEASH_TOKEN", "is required with PATRON_UNLEASH_URL")
        return self.unleash_url, self.unleash_token

    def require_keys(self) -> None:
        """Check that this is development, or that the keys to serve with are given.

        Raises:
            SettingsError: One is missing, given twice, or fetched where others can change it.
        """
        if self.auth_jwks_file is not None and self.auth_jwks_url is not None:
            raise SettingsError(
                "PATRON_AUTH_JWKS_URL",
                "is one source too many: unset PATRON_AUTH_JWKS_FILE or PATRON_AUTH_JWKS_URL",
            )
        if self.is_development:
            return
        if self.auth_jwks_file is None and self.auth_jwks_url is None:
            raise SettingsError(
                "PATRON_AUTH_JWKS_FILE", "or PATRON_AUTH_JWKS_URL is required in production"
            )
        if self.auth_jwks_url is not None and urlsplit(self.auth_jwks_url).scheme != "https":
            raise SettingsError("PATRON_AUTH_JWKS_URL", "must be https in production")
        if self.secret is None:
            raise SettingsError("PATRON_SECRET", "is required in production")

    @classmethod
    def load(cls, given: Mapping[str, str] = os.environ, /, **options: object | None) -> "Settings":
        """Return the settings.

        Args:
            given: The environment variables; one that is empty counts as not set.
            options: Values of fields, by name, which win over the variables; None: not given.

        Raises:
            SettingsError: A variable is missing or makes no sense.
        """
        variables = {name: value for name, value in given.items() if value.strip()}
        for field, value in options.items():
            if value is not None:
                variables[_variable_name(field)] = str(value)
        return environ.to_config(cls, variables)

    def environment_of(
        self, given: Mapping[str, str] = os.environ, /, **changes: object
    ) -> dict[str, str]:
        """Return the environment variables of a process that shall `load` these settings.

        Args:
            given: Variables that it has as well, if they are not Patron's.
            changes: Values of fields, by name, that are other ones there.
        """
        settings: Any = type(self)  # Which is one of attrs, unseen by type checkers.
        names = {field.name: _variable_name(field.name) for field in attrs.fields(settings)}
        values = {field: getattr(self, field) for field in names} | changes
        own = frozenset(names.values())
        others = {name: value for name, value in given.items() if name not in own}
        return others | {
            names[field]: str(value) for field, value in values.items() if value is not None
        }

    @classmethod
    def variables(cls) -> list[Variable]:
        """Return every variable, in the order of the fields."""

        def collect(found: list[dict[str, Any]]) -> list[Variable]:
            return [
                Variable(entry["var_name"], entry["default"], entry["help_str"]) for entry in found
            ]

        described: Any = environ.generate_help(cls, formatter=collect)
        return list[Variable](described)
