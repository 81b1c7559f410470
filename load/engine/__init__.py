"""The processes that generate the load, and what they are told to do."""

from load.engine.generating import generate

__all__ = ["generate"]
