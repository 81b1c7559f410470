"""`python -m load.cli` is `patron-load`."""

from load.cli import main

main(prog_name="patron-load")
