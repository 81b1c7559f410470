"""`patron unleash`: an Unleash of one's own, to try a rollout with."""

import asyncio
import shlex
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.cli.options import data_dir_option
from server.settings import Settings

if TYPE_CHECKING:
    from server.embedded import UnleashAddress

_READY = """\
Unleash runs at {web}: log in as {user} with the password {password}
{flag}

To have `make run` ask it, in another terminal:

export PATRON_UNLEASH_URL={api}
export PATRON_UNLEASH_TOKEN={client_token}

and for `patron rollout` beside:

export PATRON_UNLEASH_ADMIN_TOKEN={admin_token}

Flags, password and tokens stay in {data_dir}. Ctrl-C stops it.
"""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4242,
    show_default=True,
    help="Where it listens, on 127.0.0.1; 0: on any free port.",
)
@data_dir_option
def unleash(port: int, data_dir: Path | None) -> None:
    """Run Unleash until SIGTERM or Ctrl-C, with the flag of the rollout at 0 %.

    Its data is in the embedded PostgreSQL of the data directory. It needs Node 20 or later, and
    its package, which `make unleash` installs.
    """
    from server.embedded import EmbeddedUnleash

    settings = Settings.load(data_dir=data_dir)
    server = EmbeddedUnleash(settings.data_dir, port=port)
    with server as address:
        flag = asyncio.run(prepare(address, settings.rollout_flag))
        _greet(address, flag, settings.data_dir)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            server.wait()


async def prepare(address: "UnleashAddress", flag: str) -> str:
    """Have the flag there; return how it stands, for a reader."""
    from flags.rollout.ports import FlagUnusable
    from flags.rollout.unleash_admin import UnleashSwitch

    switch = UnleashSwitch(api=address.api, token=address.admin_token)
    try:
        await switch.prepare(flag)
        share = await switch.read(flag)
    except FlagUnusable as error:
        # Somebody has made it so, and mends it in the web UI, which therefore has to run.
        return f"{error}."
    return f"The flag {flag} lets {share.percent} % of the merchants in."


def _greet(address: "UnleashAddress", flag: str, data_dir: Path) -> None:
    from server.embedded.unleash import USER

    click.echo(
        _READY.format(
            web=address.web,
            user=USER,
            password=address.password,
            flag=flag,
            api=address.api,
            client_token=shlex.quote(address.client_token),
            admin_token=shlex.quote(address.admin_token),
            data_dir=data_dir.resolve(),
        )
    )
