"""Scenarios: several calls at once, as users make them, from a TOML file."""
