"""`patron flags`: who has which feature."""

from pathlib import Path

import click

from server.cli.errors import Failure
from server.settings import Settings


@click.group()
def flags() -> None:
    """Look after the flags that decide who has which feature."""


@flags.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, at once and as a whole.  [default: standard output]",
)
def export(output: Path | None) -> None:
    """Write the flags that Unleash has now, for PATRON_FLAGS_BOOTSTRAP_FILE or PATRON_FLAGS_FILE.

    Unleash is that of PATRON_UNLEASH_URL, asked with PATRON_UNLEASH_TOKEN.
    """
    settings = Settings.load()
    url, token = settings.require_unleash()
    from flags.deciding.export import fetch
    from flags.deciding.snapshot import FlagsUnusable
    from server.private_files import replace

    try:
        text = fetch(url, token)
    except FlagsUnusable as error:
        kept = settings.data_dir / "flags" / "worker-N.json"
        raise Failure(
            f"Unleash {error}. The last good flags of each worker are in {kept}, in the same format"
        ) from error
    if output is None:
        click.echo(text, nl=False)
    else:
        replace(output, text.encode())
