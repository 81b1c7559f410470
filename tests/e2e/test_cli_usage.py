"""The command line: help, tokens, and what is said of wrong use. No database runs."""

from pathlib import Path
from uuid import UUID

import pytest

from server.auth.tokens import TokenVerifier
from server.settings import Settings
from tests.support.command_line import fails, patron, succeeds
from tests.support.tokens import ring_of

MERCHANT = "5b0c9b7e-8f0f-4a38-9d6a-0d0a3f7f6a01"
NEW_MERCHANT = ("merchant", "create", "--name", "A", "--currency", "USD", "--time-zone", "UTC")


def verifier(data: Path, **names: str) -> TokenVerifier:
    """Return what verifies tokens as a server on the data directory does."""
    keys = ring_of(data / "auth" / "jwks.json")
    return TokenVerifier(keys, **{"issuer": "patron", "audience": "patron"} | names, leeway=0)


def test_help_lists_the_commands() -> None:
    """`patron --help` names every command with a line on it."""
    told = patron("--help").stdout
    for command in ("serve", "demo", "merchant", "token", "db", "flags"):
        assert f"\n  {command} " in told


def test_serve_documents_every_variable() -> None:
    """`patron serve --help` has the name, the meaning and the default of each setting."""
    told = unspaced(succeeds("serve", "--help"))
    for variable in Settings.variables():
        assert unspaced(f"{variable.name} {variable.help}") in told
        if variable.default is not None:
            assert unspaced(f"{variable.help} [default: {variable.default}]") in told


def unspaced(text: str) -> str:
    """Return a text without the spaces and line ends that the width of a terminal decides."""
    return "".join(text.split())


def test_a_wrong_variable_is_named_in_one_line() -> None:
    """A setting that makes no sense is one line on stderr and status 2, before anything starts."""
    outcome = patron("serve", variables={"PATRON_PORT": "many"})
    assert outcome.returncode == 2
    assert outcome.stderr == "Error: PATRON_PORT must be a whole number from 0 to 65535\n"
    assert not outcome.stdout


def test_production_does_not_start_without_its_keys(tmp_path: Path) -> None:
    """A server in production never makes up keys."""
    told = fails("serve", "--data-dir", tmp_path, status=2, PATRON_ENVIRONMENT="production")
    assert (
        told == "Error: PATRON_AUTH_JWKS_FILE or PATRON_AUTH_JWKS_URL is required in production\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_token_is_all_that_is_printed(tmp_path: Path) -> None:
    """`patron token` prints one token, which a server on the data directory accepts."""
    token = succeeds("token", "--merchant", MERCHANT, "--data-dir", tmp_path)
    identity = verifier(tmp_path).verify(token.removesuffix("\n"))
    assert identity.merchant_id == UUID(MERCHANT)
    assert identity.subject == "developer"
    assert identity.scopes == {
        "analytics.read",
        "bills.read",
        "bills.write",
        "customers.read",
        "customers.write",
        "features.read",
        "features.write",
    }


def test_a_token_says_what_it_is_told_to(tmp_path: Path) -> None:
    """Scopes, subject, lifetime, issuer and audience are the given ones."""
    arguments = ("--scope", "bills.read", "--scope", "bills.write", "--subject", "till-1")
    tokens = [
        succeeds(
            *("token", "--merchant", MERCHANT, "--data-dir", tmp_path, *arguments),
            *("--expires-in", expires_in),
            PATRON_AUTH_ISSUER="me",
            PATRON_AUTH_AUDIENCE="you",
        )
        for expires_in in ("15m", "2h")
    ]
    accepts = verifier(tmp_path, issuer="me", audience="you")
    short, long = (accepts.verify(token.strip()) for token in tokens)
    assert short.scopes == {"bills.read", "bills.write"}
    assert short.subject == "till-1"
    assert long.expires_at - short.expires_at == pytest.approx(105 * 60, abs=30)


def test_no_token_is_signed_outside_development(tmp_path: Path) -> None:
    """The development key is of no use in production, and isn't even made there."""
    arguments = ("token", "--merchant", MERCHANT, "--data-dir", tmp_path)
    told = fails(*arguments, status=2, PATRON_ENVIRONMENT="production")
    assert "PATRON_ENVIRONMENT is production" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments,problem",
    [
        (("token", "--merchant", "5"), "'5' is not a valid UUID"),
        (("token", "--merchant", MERCHANT, "--scope", "all"), "'all' is none of analytics.read"),
        (("token", "--merchant", MERCHANT, "--expires-in", "1"), "'1' is not a duration"),
        (("token", "--merchant", MERCHANT, "--expires-in", "0s"), "'0s' is not a duration"),
        (("token", "--merchant", MERCHANT, "--subject", ""), "must not be empty"),
        ((*NEW_MERCHANT, "--region", "XX"), "'XX' is not the ISO 3166 code of a region"),
        ((*NEW_MERCHANT, "--region", "US", "--name", " "), "1 to 200 characters"),
        ((*NEW_MERCHANT, "--region", "US", "--currency", "XAU"), "'XAU' is not the ISO 4217 code"),
        ((*NEW_MERCHANT, "--region", "US", "--currency", "EURO"), "'EURO' is not the ISO 4217"),
        ((*NEW_MERCHANT, "--region", "US", "--time-zone", "../UTC"), "'../UTC' is not the IANA"),
        (("merchant", "set", MERCHANT), "Say what to set"),
        (("demo", "--target", "127.0.0.1:1"), "--target and --token need each other"),
        (("serve", "--port", "65536"), "65536 is not in the range"),
    ],
)
def test_wrong_use_is_explained(arguments: tuple[str, ...], problem: str) -> None:
    """What is wrong with an option is said before anything is done."""
    assert problem in fails(*arguments, status=2)


def test_a_database_elsewhere_needs_the_url_of_the_role() -> None:
    """With a database of one's own, a command asks for the role that it needs."""
    url = "postgresql://patron_serving@127.0.0.1:1/patron"
    for command, variable in (
        (("db", "migrate"), "PATRON_DATABASE_OWNER_URL"),
        (("db", "verify"), "PATRON_DATABASE_MAINTENANCE_URL"),
    ):
        told = fails(*command, status=2, PATRON_DATABASE_URL=url)
        assert told == f"Error: {variable} is required: the database is not embedded\n"
    assert "name the server with --target" in fails("demo", status=2, PATRON_DATABASE_URL=url)


def test_what_cannot_be_reached_is_said_without_a_traceback(tmp_path: Path) -> None:
    """A database or a server that is not there is one line and status 1."""
    url = "postgresql://patron_owner@127.0.0.1:1/patron"
    told = fails("db", "migrate", status=1, PATRON_DATABASE_OWNER_URL=url)
    assert told.startswith("Error: cannot connect: ")
    told = patron("demo", "--target", "127.0.0.1:1", "--token", "none").stderr
    assert told.startswith("Error: UNAVAILABLE: ")
    file = tmp_path / "file"
    file.touch()
    told = fails("db", "migrate", "--data-dir", file / "data", status=1)
    assert "is not a directory" in told
