"""The controller: looks at a rollout again and again, and moves its flag."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from flags.rollout.breaker import burning
from flags.rollout.descent import flush_spool
from flags.rollout.evidence import Calls, EvidenceMissing, EvidenceSource, Span
from flags.rollout.looking import take_look
from flags.rollout.moving import carry_out, confirm, finish
from flags.rollout.noticing import notice
from flags.rollout.phases import Move, follow, stand_back, time_left, trip
from flags.rollout.plan import BurnWindow, Plan
from flags.rollout.ports import (
    FlagChanged,
    FlagSwitch,
    FlagUnusable,
    RolloutStore,
    Saved,
    StateChanged,
    StoreUnreachable,
    SwitchUnreachable,
)
from flags.rollout.spool import Spool
from flags.rollout.state import Look, State, Status
from flags.rollout.troubles import RolloutHolds, Troubles
from flags.rollout.verdict import Outcome

_log = structlog.get_logger()

_LEASE_LOOKS: Final = 3
"""For how many of the more frequent looks a controller alone moves the flag: it renews that in each
of them, and another takes over after as many in which it did not."""


class Controller:
    """Controls the rollout of one flag, when it is started, and as long as nobody else does."""

    def __init__(
        self,
        plan: Plan,
        *,
        switch: FlagSwitch,
        evidence: EvidenceSource,
        store: RolloutStore,
        holder: str,
        report: Callable[[Exception, str], None],
        clock: Callable[[], float] = time.time,
        spool: Spool | None = None,
    ) -> None:
        """Prepare; `run` controls.

        Args:
            plan: Where the rollout is to go.
            switch: Where the flag is moved.
            evidence: What the verdicts are made from.
            store: Where the state is.
            holder: The name of this controller, which no other has.
            report: Is given each error that keeps it from its work, and the flag, once.
            clock: Returns now, in seconds since the epoch.
            spool: Has roll backs that the store doesn't know of yet; None: there are none.
        """
        self.plan: Final = plan
        self.state: State | None = None
        """Where the rollout stood last; None: it was never started, as far as is known."""
        self.last_look = 0.0
        """When this controller looked last at the criteria, in seconds since the epoch."""
        self.last_burn_look = 0.0
        """When it saw last to the error budget: did what was to be done, or nothing was."""
        self._switch = switch
        self._evidence = evidence
        self._store = store
        self._holder = holder
        self._clock = clock
        self._spool = spool
        self._leads = False
        self._told: int | None = None
        """How many entries of the history are in the log; None: what is there is old."""
        self._lease = _LEASE_LOOKS * min(plan.look_every, plan.breaker.look_every)
        self._troubles = Troubles(plan.flag, report)

    @property
    def holds_since(self) -> float:
        """Since when it holds for a reason to tell of, in seconds since the epoch; 0: it doesn't.

        That is, too little is known after a phase's least time, or something cannot be read.
        """
        return self._troubles.since

    @property
    def is_known(self) -> bool:
        """Whether it was read where the rollout stands, since this controller began."""
        return self._told is not None

    @property
    def percent(self) -> int:
        """The share of merchants that are let in; 0 as well when it was never started."""
        return 0 if self.state is None else self.state.percent

    @property
    def phase(self) -> int:
        """The number of the phase, from 1 on; 0: nobody is let in."""
        return 0 if self.state is None else self.state.phase + 1

    @property
    def status(self) -> str:
        """What is done about the rollout; empty: it was never started."""
        return "" if self.state is None else self.state.status

    @property
    def outcome(self) -> str:
        """The outcome of the last look, HOLD if it has none; empty: there was no look."""
        if self.state is None or self.state.look is None:
            return ""
        verdict = self.state.look.verdict
        return Outcome.HOLD if verdict is None else verdict.outcome

    @property
    def actions(self) -> Counter[str]:
        """How often each action was done, by whomever."""
        history = () if self.state is None else self.state.history
        return Counter(entry.action for entry in history)

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until it is told to stop; a look under way is finished."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeat(self.look, self.plan.look_every, stop))
            group.create_task(_repeat(self.watch_burn, self.plan.breaker.look_every, stop))
        # Another controller need not wait for the end of the lease.
        with suppress(StoreUnreachable):
            await self._store.drop_lease(self.plan.flag, self._holder)

    async def look(self) -> None:
        """Look at the criteria once, and do what they ask for."""
        await self._try("judging", self._look)

    async def watch_burn(self) -> None:
        """Look at the error budget once, and roll back if it burns too fast."""
        await self._try("watching the error budget", self._watch_burn)

    async def _try(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step; whatever keeps it from being taken is told, and the rollout holds."""
        try:
            await step()
        except (StateChanged, FlagChanged) as error:
            # A person, or another controller. The next look sees what they did.
            _log.info("somebody else was faster", flag=self.plan.flag, reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other step must go on.
            self._troubles.begin(what, error, self._clock())
        else:
            self._troubles.end(what)

    async def _look(self) -> None:
        saved = await self._take()
        if saved is None:
            return
        at = self.last_look = self._clock()
        try:
            saved = await self._settle(saved)
        except (FlagUnusable, SwitchUnreachable) as error:
            await self._keep(saved, Look(at, None, (), str(error)))
            raise
        if saved.state.status not in (Status.RUNNING, Status.PAUSED):
            return
        look = await take_look(self.plan, saved.state, self._evidence, at)
        state = replace(saved.state, look=look)
        move = None if look.verdict is None else follow(self.plan, state, look.verdict, at=at)
        if move is not None:
            await self._carry_out(move, saved)
            return
        await self._keep(saved, look)
        self._require_progress(state, look, at)

    async def _watch_burn(self) -> None:
        saved = await self._take()
        if saved is None:
            return
        saved = await self._settle(saved)
        at = self._clock()
        move = await self._find_trip(saved.state, at)
        if move is not None:
            await self._carry_out(move, saved)
        self.last_burn_look = at

    async def _find_trip(self, state: State, at: float) -> Move | None:
        """Return how to roll back, if the error budget of a running rollout burns too fast."""
        if state.status is not Status.RUNNING:
            return None
        breaker = self.plan.breaker
        spans = {span for window in breaker.windows for span in (window.short, window.long)}
        since = state.phase_since
        counted = await asyncio.gather(
            # What failed before the phase is no reason to leave it.
            *(self._evidence.burned(Span(max(since, at - span), at)) for span in spans)
        )
        calls = dict(zip(spans, counted, strict=True))
        window = burning(breaker, self.plan.criteria.error_rate, calls)
        if window is None:
            # Nothing burns also where nobody is watched.
            await self._evidence.require_servers(at)
            return None
        return trip(self.plan, state, _describe(window, calls), at=at)

    async def _take(self) -> Saved | None:
        """Return where the rollout stands; None: this controller has nothing to do with it."""
        flag = self.plan.flag
        leads = await self._store.take_lease(flag, self._holder, self._lease)
        if leads != self._leads:
            self._leads = leads
            _log.info("controls the rollout" if leads else "stands by", flag=flag)
        if self._spool is not None:
            # Else what a person did by a command would look like a change in Unleash.
            await flush_spool(self._spool, self._store, {flag: self.plan})
        saved = await self._store.load(flag)
        self._see(None if saved is None else saved.state)
        return saved if leads else None

    def _see(self, state: State | None) -> None:
        """Remember where the rollout stands, and log what was done since the last time."""
        history = () if state is None else state.history
        for entry in () if self._told is None else history[self._told :]:
            _log.info(
                "the rollout changes",
                flag=self.plan.flag,
                action=entry.action,
                actor=entry.actor,
                percent=entry.percent,
                reason=entry.reason,
            )
        self._told = len(history)
        self.state = state

    async def _settle(self, saved: Saved) -> Saved:
        """Compare the flag with the state: end a move that was cut short, or stand back."""
        state = saved.state
        seen = await notice(self._switch, state.flag, state)
        found = seen.share.percent
        if seen.others or found not in (state.percent, state.moving_from):
            move = stand_back(
                self.plan,
                state,
                found=found,
                at=self._clock(),
                revision=seen.revision,
                change=seen.told,
            )
            return await self._carry_out(move, saved, found=found)
        # Whatever was done since is the rollout's own; it is saved with what comes next.
        saved = replace(saved, state=replace(state, revision=seen.revision))
        if found == state.percent:
            if state.moving_from is not None:
                saved = await confirm(saved, since=self._clock(), store=self._store)
        elif state.status is not Status.PAUSED:
            saved = await finish(saved, since=self._clock(), store=self._store, switch=self._switch)
        self._see(saved.state)
        return saved

    async def _carry_out(self, move: Move, saved: Saved, *, found: int | None = None) -> Saved:
        """Carry out a move of a flag that has the state's share, or the one that was found."""
        after = await carry_out(
            move,
            found=saved.state.percent if found is None else found,
            version=saved.version,
            store=self._store,
            switch=self._switch,
        )
        self._see(after.state)
        return after

    async def _keep(self, saved: Saved, look: Look) -> None:
        """Save a look that moves nothing."""
        self.state = replace(saved.state, look=look)
        await self._store.save(self.state, version=saved.version, entries=())

    def _require_progress(self, state: State, look: Look, at: float) -> None:
        """Do nothing unless the rollout holds for a reason that somebody should know."""
        if look.verdict is None:
            raise EvidenceMissing(look.problem or "", look.readings)
        is_due = state.status is Status.RUNNING and not time_left(self.plan, state, at)
        if state.blocked is None and is_due and look.verdict.outcome is Outcome.HOLD:
            unknown = [each for each in look.verdict.findings if each.outcome is Outcome.HOLD]
            raise RolloutHolds(
                "; ".join(f"{each.criterion}: {each.explanation}" for each in unknown)
            )


async def _repeat(step: Callable[[], Awaitable[None]], seconds: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await step()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


def _describe(window: BurnWindow, calls: dict[float, Calls]) -> str:
    counts = " and ".join(
        f"{calls[span].failed:,} of {calls[span].ended:,} calls in {span:g} s"
        for span in (window.short, window.long)
    )
    return f"The error budget burns over {window.burn:g} times too fast: {counts} failed."
