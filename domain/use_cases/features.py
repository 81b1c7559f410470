"""Features that not every merchant has yet: who has them, and what people think of them."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import uuid4

from domain.errors import NotFoundError, Reason
from domain.model.caller import Caller
from domain.model.feature import Feature
from domain.model.feedback import Feedback, Opinion
from domain.model.request import RequestKey, Written
from domain.ports import Clock, Features, Ratings, Writer, WriteTransaction

COUNTING_SPAN: Final = timedelta(hours=24)
"""A person counts once in so long, ..."""
PEOPLE_COUNTED: Final = 5
"""... and so many people of a merchant do."""


class GatedFeatures:
    """The features that the contract gates, as the caller has them."""

    def __init__(
        self,
        names: Collection[str],
        decisions: Features,
        writer: Writer,
        ratings: Ratings,
        clock: Clock,
    ) -> None:
        self._names = sorted(names)
        self._decisions = decisions
        self._writer = writer
        self._ratings = ratings
        self._clock = clock

    def list(self, caller: Caller) -> list[Feature]:
        """Return every feature and whether the caller has it, in the order of their names."""
        return [Feature(name, self._decisions.decide(name, caller)) for name in self._names]

    async def rate(self, caller: Caller, key: RequestKey, opinion: Opinion) -> Written[Feedback]:
        """Keep a person's opinion of a feature, in place of the one that they had before.

        Whoever sends many counts no more than others: `COUNTING_SPAN`, `PEOPLE_COUNTED`.

        Raises:
            NotFoundError: There is no such feature.
        """
        if opinion.feature not in self._names:
            raise NotFoundError(Reason.FEATURE_NOT_FOUND, "no such feature")

        # A call is in the arm that it began in, however long the write takes.
        decision = self._decisions.decide(opinion.feature, caller)
        counts = False

        async def work(transaction: WriteTransaction) -> Feedback:
            nonlocal counts
            feedback, counts = await self._rate(transaction, caller, opinion)
            return feedback

        written = await self._writer.write(caller, key, Feedback, work)
        if counts and not written.replayed:
            self._ratings.count(opinion.feature, opinion.rating, treatment=decision.enabled)
        return written

    async def _rate(
        self, transaction: WriteTransaction, caller: Caller, opinion: Opinion
    ) -> tuple[Feedback, bool]:
        """Return the feedback as it is kept, and whether it counts."""
        now = self._clock()
        before, counted = await transaction.find_feedback(
            opinion.feature, caller.subject, now - COUNTING_SPAN
        )
        last = None if before is None else before.counted_at
        counts = (last is None or last <= now - COUNTING_SPAN) and counted < PEOPLE_COUNTED
        after = Feedback(
            id=uuid4() if before is None else before.id,
            subject=caller.subject,
            opinion=opinion,
            app_version=caller.app_version or "",
            platform=caller.platform or "",
            sent_at=now,
            counted_at=now if counts else last,
            revision=transaction.revision,
        )
        await transaction.put_feedback(before, after)
        return after, counts
