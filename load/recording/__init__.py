"""What is kept of the calls of a run, while it runs, and the report of it."""

from load.recording.building import build_report
from load.recording.recent import Progress
from load.recording.recording import Outcome, Recording

__all__ = ["Outcome", "Progress", "Recording", "build_report"]
