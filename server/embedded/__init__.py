"""PostgreSQL and Valkey for one machine: real servers from wheels, kept under a data directory."""

from server.embedded.data_directory import DataDirectory, RunningServer
from server.embedded.errors import EmbeddedError
from server.embedded.postgres import DatabaseUrls, EmbeddedPostgres
from server.embedded.valkey import EmbeddedValkey

__all__ = [
    "DataDirectory",
    "DatabaseUrls",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "RunningServer",
]
