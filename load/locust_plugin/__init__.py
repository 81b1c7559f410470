"""The plugin for locust: users that call by gRPC, shapes of ghz, and reports of both kinds.

Imported in a file of locust, it records all calls and adds `--patron-report` and `--threshold`.
Anywhere else an import does nothing: locust, which patches the standard library, is only imported
when one of the names is used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from load.locust_plugin.errors import CallFailed
    from load.locust_plugin.pacing import constant_pacing, constant_throughput
    from load.locust_plugin.shapes import GhzShape
    from load.locust_plugin.users import GrpcUser

__all__ = ["CallFailed", "GhzShape", "GrpcUser", "constant_pacing", "constant_throughput"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("load.locust_plugin.names"), name)


if "locust" in sys.modules:
    import_module("load.locust_plugin.names")
