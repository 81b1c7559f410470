"""What the server counts and measures of itself, for `/metrics`."""

from server.metrics.histogram import Histogram
from server.metrics.readings import Readings

__all__ = ["Histogram", "Readings"]
