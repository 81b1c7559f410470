"""Features that not every merchant has yet."""

import enum
from dataclasses import dataclass


class DecisionReason(enum.StrEnum):
    """Why a merchant has a feature, or has not."""

    ALWAYS_ON = "always_on"
    """The flag is on for everybody."""
    ROLLOUT = "rollout"
    """One of the flag's strategies lets the merchant in."""
    OUTSIDE_ROLLOUT = "outside_rollout"
    """None of the flag's strategies lets the merchant in."""
    SWITCHED_OFF = "switched_off"
    """The flag is off for everybody."""
    UNKNOWN_FLAG = "unknown_flag"
    """There is no such flag, or it is not known yet: the feature is off."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a caller has a feature."""

    enabled: bool
    reason: DecisionReason


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature, as a caller has it."""

    name: str
    decision: Decision
