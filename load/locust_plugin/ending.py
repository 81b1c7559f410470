"""How a test of locust ends: with a report, and an exit code if a threshold was not kept."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from locust.env import Environment

from load.config.model import Config
from load.errors import ConfigError
from load.gates import exits
from load.gates.thresholds import parse_threshold
from load.locust_plugin.session import Session
from load.report.formats import render
from load.report.model import GateResult, Report
from load.report.options import options_of

_SECOND: Final = 1_000_000_000
_MILLISECOND: Final = 1_000_000
_NAME_WIDTH: Final = 50
_WIDTH: Final = 10
_logger = logging.getLogger(__name__)


class Ending:
    """The end of a test."""

    def __init__(self, environment: Environment, session: Session, *, users: int) -> None:
        self._environment = environment
        self._session = session
        self._users = users
        self._report: Report | None = None

    def end(self, reason: str, warnings: Sequence[str]) -> None:
        """Judge the test, write the report that was asked for, and set the exit code.

        Args:
            reason: Why it ended: normal, cancel or timeout.
            warnings: What there is to say about it.
        """
        given = self._environment.parsed_options
        ...
