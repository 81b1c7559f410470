"""How many calls a merchant may make, over all workers together."""

from server.limits.leases import Budget, RedisLeases
from server.limits.limiter import Counts, RedisRateLimiter

__all__ = ["Budget", "Counts", "RedisLeases", "RedisRateLimiter"]
