"""Real servers for one machine, kept under a data directory: PostgreSQL, Valkey and Unleash."""

from server.embedded.data_directory import DataDirectory, RunningServer
from server.embedded.errors import EmbeddedError, ProgramUnavailable
from server.embedded.postgres import DatabaseUrls, EmbeddedPostgres
from server.embedded.unleash import EmbeddedUnleash, UnleashAddress
from server.embedded.valkey import EmbeddedValkey

__all__ = [
    "DataDirectory",
    "DatabaseUrls",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedUnleash",
    "EmbeddedValkey",
    "ProgramUnavailable",
    "RunningServer",
    "UnleashAddress",
]
