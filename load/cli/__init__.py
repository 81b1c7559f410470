"""The command line: `patron-load`."""
