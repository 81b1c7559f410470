"""Feedback on features in PostgreSQL."""

from typing import Any, Final

from sqlalchemy import DateTime, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.model.feedback import Feedback
from server.storage.changes import change
from server.storage.records import FEEDBACK
from server.storage.schema import feedback, merchant
from server.storage.statements import (
    MERCHANT_ID,
    OWN_MERCHANT,
    Statement,
    of_merchant,
    parameter,
)

_COUNTED: Final = feedback.alias("counted")
FIND: Final = Statement(
    select(
        *FEEDBACK,
        select(func.count())
        .where(
            of_merchant(_COUNTED),
            _COUNTED.c.feature == parameter(feedback.c.feature),
            _COUNTED.c.counted_at > bindparam("since", type_=DateTime(timezone=True)),
        )
        .select_from(_COUNTED)
        .scalar_subquery()
        .label("counted"),
    )
    .select_from(
        merchant.outerjoin(
            feedback,
            of_merchant(feedback)
            & (feedback.c.feature == parameter(feedback.c.feature))
            & (feedback.c.subject == parameter(feedback.c.subject)),
        )
    )
    .where(OWN_MERCHANT)
)
"""Finds a person's feedback, nulls when there is none, and how many people have counted."""

_NEW: Final = insert(feedback).values(
    {"merchant_id": MERCHANT_ID, **{column.name: parameter(column) for column in FEEDBACK}}
)
PUT: Final = change(
    _NEW.on_conflict_do_update(
        constraint=feedback.primary_key,
        set_={column.name: _NEW.excluded[column.name] for column in FEEDBACK},
    )
)
"""Keeps a person's feedback in place of the one before."""


def put_arguments(given: Feedback) -> dict[str, Any]:
    """Return the parameters of `PUT`."""
    return {
        "feature": given.opinion.feature,
        "subject": given.subject,
        "feedback_id": given.id,
        "rating": given.opinion.rating,
        "comment": given.opinion.comment,
        "app_version": given.app_version,
        "platform": given.platform,
        "sent_at": given.sent_at,
        "counted_at": given.counted_at,
    }
