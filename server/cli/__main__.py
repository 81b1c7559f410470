"""`python -m server.cli` is `patron`."""

from server.cli import main

main(prog_name="patron")
