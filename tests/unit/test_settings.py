"""The settings: what the environment may say, and what is said of a mistake."""

import dataclasses
from pathlib import Path

import attrs
import pytest

from server.auth.keys import ALGORITHMS
from server.settings import Environment, Settings, SettingsError

SECRET = "s" * 32


def test_defaults_are_a_developers_server() -> None:
    """Without any variable the settings are those of a server on one's own machine."""
    settings = Settings.load({})
    assert settings.environment is Environment.DEVELOPMENT
    assert settings.is_development
    settings.require_keys()
    assert settings.embeds_database
    assert (settings.host, settings.port) == ("127.0.0.1", 50051)
    assert settings.data_dir == Path(".patron")
    assert settings.redis_url is None
    assert settings.secret is None
    assert settings.auth_leeway_seconds == 30


def test_variables_are_read_and_converted() -> None:
    """Each variable sets the field of its name."""
    settings = Settings.load(
        {
            "PATRON_PORT": "6000",
            "PATRON_DATABASE_URL": "postgresql://patron_serving@db/patron",
            "PATRON_REDIS_URL": "unix:///run/valkey.sock",
            "PATRON_LOG_LEVEL": "WARNING",
            "PATRON_AUTH_ALGORITHM": "es256",
            "PATRON_STOP_GRACE_SECONDS": "2.5",
            "SENTRY_DSN": "https://key@sentry.example/1",
        }
    )
    assert settings.port == 6000
    assert settings.database_url == "postgresql://patron_serving@db/patron"
    assert not settings.embeds_database
    assert settings.redis_url == "unix:///run/valkey.sock"
    assert settings.log_level == "warning"
    assert settings.auth_algorithm == "ES256"
    assert settings.stop_grace_seconds == 2.5
    assert settings.sentry_dsn == "https://key@sentry.example/1"


def test_an_empty_variable_counts_as_not_set() -> None:
    """A variable that is empty, as a template leaves it, is the default."""
    settings = Settings.load({"PATRON_PORT": "", "PATRON_REDIS_URL": " "})
    assert settings.port == 50051
    assert settings.redis_url is None


def test_options_win_over_variables() -> None:
    """An option replaces even a variable that makes no sense; None is no option."""
    settings = Settings.load({"PATRON_PORT": "none", "PATRON_HOST": "::1"}, port=0, host=None)
    assert settings.port == 0
    assert settings.host == "::1"


@pytest.mark.parametrize(
    "variable,value",
    [
        ("PATRON_ENVIRONMENT", "staging"),
        ("PATRON_PORT", "65536"),
        ("PATRON_PORT", "-1"),
        ("PATRON_PORT", "5_000"),
        ("PATRON_PORT", "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("PATRON_ADMIN_PORT", "http"),
        ("PATRON_DATABASE_URL", "mysql://root:hunter2@db/patron"),
        ("PATRON_DATABASE_OWNER_URL", "db/hunter2"),
        ("PATRON_DATABASE_MAINTENANCE_URL", "http://[hunter2"),
        ("PATRON_DATABASE_POOL_SIZE", "0"),
        ("PATRON_REDIS_URL", "hunter2@redis:6379"),
        ("PATRON_AUTH_JWKS_FILE", "/no/such/file.json"),
        ("PATRON_AUTH_JWKS_URL", "ftp://issuer.example/hunter2"),
        ("PATRON_AUTH_JWKS_URL", "https://patron:hunter2@issuer.example/jwks.json"),
        ("PATRON_AUTH_JWKS_URL", "https://hunter2@issuer.example/jwks.json"),
        ("PATRON_AUTH_ALGORITHM", "none"),
        ("PATRON_AUTH_LEEWAY_SECONDS", "-1"),
        ("PATRON_SECRET", "hunter2"),
        ("PATRON_LOCK_TIMEOUT_SECONDS", "0"),
        ("PATRON_SLOW_CALL_SECONDS", "nan"),
        ("PATRON_STOP_GRACE_SECONDS", "ten"),
        ("PATRON_LOG_LEVEL", "loud"),
        ("SENTRY_DSN", "hunter2"),
        ("PATRON_UNLEASH_URL", "http://"),
        ("PATRON_UNLEASH_URL", "http://unleash:99999/api"),
        ("PATRON_UNLEASH_TOKEN", "two words"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(variable: str, value: str) -> None:
    """The error names the variable, and repeats nothing that may be a secret."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({variable: value})
    assert caught.value.variable == variable
    assert str(caught.value).startswith(f"{variable} ")
    assert "hunter2" not in str(caught.value)


PRODUCTION = {
    "PATRON_ENVIRONMENT": "production",
    "PATRON_AUTH_JWKS_URL": "https://issuer.example/jwks.json",
    "PATRON_SECRET": SECRET,
}


@pytest.mark.parametrize(
    "missing, problem",
    [
        ("PATRON_AUTH_JWKS_URL", "PATRON_AUTH_JWKS_FILE or PATRON_AUTH_JWKS_URL is required"),
        ("PATRON_SECRET", "PATRON_SECRET is required"),
    ],
)
def test_production_has_no_keys_of_its_own(missing: str, problem: str, tmp_path: Path) -> None:
    """In production one serves with keys that are given, never with development's."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text("{}")
    by_file = {name: value for name, value in PRODUCTION.items() if "URL" not in name}
    Settings.load(by_file | {"PATRON_AUTH_JWKS_FILE": str(jwks)}).require_keys()
    Settings.load(PRODUCTION).require_keys()

    given = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(SettingsError, match=f"{problem} in production"):
        Settings.load(given).require_keys()


@pytest.mark.parametrize(
    "given, seconds",
    [
        ({}, 0),
        ({"PATRON_ENVIRONMENT": "production"}, 5),
        ({"PATRON_ENVIRONMENT": "production", "PATRON_DRAIN_SECONDS": "0"}, 0),
        ({"PATRON_DRAIN_SECONDS": "2.5"}, 2.5),
    ],
)
def test_production_drains(given: dict[str, str], seconds: float) -> None:
    """Load balancers get time to notice a stop, and developers need not wait for any."""
    assert Settings.load(given).drain_pause == seconds


def test_keys_have_one_source(tmp_path: Path) -> None:
    """Keys from a file and from a URL at once are a mistake, in development too."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text("{}")
    given = {"PATRON_AUTH_JWKS_FILE": str(jwks), "PATRON_AUTH_JWKS_URL": "https://issuer.example"}
    with pytest.raises(SettingsError, match="unset PATRON_AUTH_JWKS_FILE or PATRON_AUTH_JWKS_URL"):
        Settings.load(given).require_keys()


def test_production_fetches_keys_by_https_alone() -> None:
    """Over plain http, whoever is in between would choose the keys; a developer may fetch so."""
    plain = {"PATRON_AUTH_JWKS_URL": "http://issuer.example/jwks.json"}
    Settings.load(plain).require_keys()
    with pytest.raises(SettingsError, match="PATRON_AUTH_JWKS_URL must be https in production"):
        Settings.load(PRODUCTION | plain).require_keys()


def test_settings_are_frozen_and_keep_their_secrets() -> None:
    """Settings never change, and are printed without any value that may be a secret."""
    settings = Settings.load(
        {"PATRON_SECRET": SECRET, "PATRON_DATABASE_URL": "postgresql://u:hunter2@db/patron"}
    )
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.port = 1


def test_another_process_can_be_given_the_same_settings(tmp_path: Path) -> None:
    """The variables made of settings make the same settings, and leave others' variables alone."""
    jwks = tmp_path / "jwks.json"
    jwks.touch()
    settings = Settings.load(
        {
            "PATRON_ENVIRONMENT": "production",
            "PATRON_AUTH_JWKS_FILE": str(jwks),
            "PATRON_DRAIN_SECONDS": "0.1",
            "PATRON_DATABASE_URL": "postgresql://a:b%20c@d/e",
            "SENTRY_DSN": "https://key@sentry.test/1",
        },
        port=0,
        workers=4,
    )
    given = {"PATH": "/bin", "PATRON_REDIS_URL": "redis://other", "SENTRY_DSN": "https://other"}
    assert Settings.load(settings.environment_of({})) == settings
    made = settings.environment_of(given, port=50052)
    assert made["PATH"] == "/bin"
    assert "PATRON_REDIS_URL" not in made
    assert Settings.load(made, port=0) == settings
    assert Settings.load(made).port == 50052


def test_every_field_is_a_documented_variable() -> None:
    """Each field has a variable with a sentence on it, whose default is a value it takes."""
    variables = Settings.variables()
    assert len(variables) == len(attrs.fields(Settings))  # type: ignore[arg-type]
    for variable in variables:
        assert variable.help.endswith(".")
        assert all(dataclasses.astuple(variable)[::2])
    defaults = {v.name: v.default for v in variables if v.default is not None}
    assert Settings.load(defaults) == Settings.load({})


def test_the_algorithms_are_those_that_tokens_are_verified_by() -> None:
    """Every algorithm of the verifier can be set."""
    for algorithm in ALGORITHMS:
        assert Settings.load({"PATRON_AUTH_ALGORITHM": algorithm}).auth_algorithm == algorithm
