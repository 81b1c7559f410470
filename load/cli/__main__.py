"""`python -m load.cli` is `patron-load`."""

from load.cli import main

# The processes of a run import this module too.
if __name__ == "__main__":
    main(prog_name="patron-load")
