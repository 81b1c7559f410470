"""`patron token`: a token for trying things out."""

from pathlib import Path
from uuid import UUID

import click

from server.cli import tokens
from server.cli.options import data_dir_option, duration
from server.settings import Settings


@click.command()
@click.option(
    "--merchant", "merchant_id", required=True, type=click.UUID, help="The merchant of the token."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="What the token allows, such as bills.write; may be repeated.  [default: everything]",
)
@click.option(
    "--subject", default="developer", show_default=True, help="Who acts for the merchant."
)
@click.option(
    "--expires-in",
    default="1h",
    show_default=True,
    type=duration,
    metavar="DURATION",
    help="How long the token is valid, such as 30s, 15m, 12h or 7d.",
)
@data_dir_option
def token(
    merchant_id: UUID,
    scopes: tuple[str, ...],
    subject: str,
    expires_in: float,
    data_dir: Path | None,
) -> None:
    """Print a token for a merchant, signed with the development key.

    The key is kept under the data directory; a server on it accepts the token. Only in development.
    """
    known = tokens.all_scopes()
    for scope in scopes:
        if scope not in known:
            raise click.BadParameter(
                f"{scope!r} is none of {', '.join(known)}.", param_hint="--scope"
            )
    if not subject:
        raise click.BadParameter("It must not be empty.", param_hint="--subject")
    settings = Settings.load(data_dir=data_dir)
    signed = tokens.sign(
        settings,
        merchant_id,
        subject=subject,
        scopes=list(scopes or known),
        lifetime=expires_in,
    )
    if not settings.signs_tokens:
        click.echo(
            "Warning: a server with PATRON_AUTH_JWKS_FILE or PATRON_AUTH_JWKS_URL as here accepts "
            "tokens of those keys alone, not this one.",
            err=True,
        )
    click.echo(signed)
