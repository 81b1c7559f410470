"""What files of locust use; importing it makes locust record."""

import locust

from load.locust_plugin.errors import CallFailed
from load.locust_plugin.pacing import constant_pacing, constant_throughput
from load.locust_plugin.plugin import install
from load.locust_plugin.shapes import GhzShape
from load.locust_plugin.users import GrpcUser

__all__ = ["CallFailed", "GhzShape", "GrpcUser", "constant_pacing", "constant_throughput"]

install(locust.events)
