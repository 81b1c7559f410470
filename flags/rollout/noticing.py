"""Noticing what others do to a flag, also where its share is what it was."""

from dataclasses import dataclass
from itertools import dropwhile
from typing import Final

from flags.rollout.ports import Change, FlagSwitch, Share
from flags.rollout.state import GOING, State

_MOST_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """How a flag stands, and what was done to it since its rollout knew of everything."""

    share: Share
    revision: int
    """The last thing that was done to it, as far as that is known; 0: nothing is."""
    others: tuple[Change, ...]
    """What was done to it since others began to, while the rollout was going on."""
    told: str | None
    """What was done to it last, for a reader; None: it is not known."""


async def notice(switch: FlagSwitch, flag: str, state: State | None) -> Notice:
    """Return how a flag stands, and what others have done to it; raises as `FlagSwitch` does.

    A rollout sets the share that its state has, and changes nothing else: by that its own doing is
    known, also if its controller died before it could save that it was done.
    """
    since = 0 if state is None else state.revision
    # Before the share: what is done in between is noticed the next time.
    changes = await switch.changes(flag, since=since)
    share = await switch.read(flag)
    others: tuple[Change, ...] = ()
    if state is not None and state.status in GOING and since:
        others = tuple(dropwhile(lambda each: each.percent == state.percent, changes))
    revision = changes[-1].revision if changes else since
    told = [each.told for each in others[-_MOST_TOLD:] or changes[-1:]]
    return Notice(share, revision, others, "; ".join(told) or None)
