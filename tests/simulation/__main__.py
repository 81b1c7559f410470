"""`make simulate`: how often the guarded rollout is wrong, and how long it takes."""

from pathlib import Path

import click

from tests.simulation import page
from tests.simulation.cells import ROOT, run


@click.command()
@click.option(
    "--rollouts",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="How many of each kind.",
)
@click.option(
    "--processes", type=click.IntRange(min=1), default=2, show_default=True, help="How many work."
)
@click.option("--keep", is_flag=True, help="Put the figures into docs/simulation.md.")
def main(*, rollouts: int, processes: int, keep: bool) -> None:
    """Simulate rollouts of the plan in flags/rollouts, and print what became of them.

    All criteria, phases, looks and the breaker take part. What is done is kept under
    build/simulation: an interrupted run goes on where it was.
    """
    try:
        fates = run(rollouts, processes, ROOT / "build/simulation")
    except KeyboardInterrupt:
        raise click.ClickException("Interrupted. Run it again to go on from here.") from None
    click.echo(f"{page.table(fates)}\n\n{page.causes(fates)}")
    if keep:
        docs = Path(ROOT / "docs")
        page.write(fates, docs / "simulation.md", docs / "images")


if __name__ == "__main__":
    main()
