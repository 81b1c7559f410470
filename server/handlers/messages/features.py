"""Features and feedback as messages."""

from typing import Final

from domain.model.feature import DecisionReason, Feature
from domain.model.feedback import Feedback, Opinion
from patron.feature.v1 import feature_pb2
from server.handlers.messages.times import from_instant

_REASONS: Final = {
    DecisionReason.ALWAYS_ON: feature_pb2.FEATURE_REASON_ALWAYS_ON,
    DecisionReason.ROLLOUT: feature_pb2.FEATURE_REASON_ROLLOUT,
    DecisionReason.OUTSIDE_ROLLOUT: feature_pb2.FEATURE_REASON_OUTSIDE_ROLLOUT,
    DecisionReason.SWITCHED_OFF: feature_pb2.FEATURE_REASON_SWITCHED_OFF,
    DecisionReason.UNKNOWN_FLAG: feature_pb2.FEATURE_REASON_UNKNOWN_FLAG,
}


def from_feature(feature: Feature) -> feature_pb2.Feature:
    """Return a feature as a message."""
    decision = feature.decision
    return feature_pb2.Feature(
        name=feature.name, enabled=decision.enabled, reason=_REASONS[decision.reason]
    )


def to_opinion(message: feature_pb2.Feedback) -> Opinion:
    """Return what a person says."""
    return Opinion(message.feature, message.rating, message.comment)


def from_feedback(feedback: Feedback) -> feature_pb2.Feedback:
    """Return feedback as a message."""
    return feature_pb2.Feedback(
        feature=feedback.opinion.feature,
        rating=feedback.opinion.rating,
        comment=feedback.opinion.comment,
        send_time=from_instant(feedback.sent_at),
    )
