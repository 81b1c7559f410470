"""Errors that nobody expected, as workers meet them."""

import contextvars
from typing import Final
from uuid import UUID, uuid4

from domain.model.caller import Caller
from server.call import Arm, set_arm, set_caller
from server.error_kinds import ErrorKinds
from tests.support.drafts import FEATURE

TREATED: Final = Arm(FEATURE, treatment=True)
UNTREATED: Final = Arm(FEATURE, treatment=False)
TREATMENT: Final = (FEATURE, "treatment")
CONTROL: Final = (FEATURE, "control")


class Failing(Exception):
    """A kind of errors."""


def meet(
    kinds: ErrorKinds, error: BaseException, arm: Arm | None = TREATED, merchant: UUID | None = None
) -> None:
    """Meet an error in a call of a merchant, a new one unless told otherwise."""

    def call() -> None:
        set_caller(Caller(merchant or uuid4(), "a-test"))
        if arm is not None:
            set_arm(arm)
        kinds.note(error)

    contextvars.copy_context().run(call)
