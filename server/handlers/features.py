"""FeatureService."""

from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from domain.use_cases.features import GatedFeatures
from patron.feature.v1 import feature_service_pb2 as messages
from patron.feature.v1.feature_service_pb2_grpc import FeatureServiceServicer
from server.call import current_caller
from server.handlers.digests import Digests
from server.handlers.messages.features import from_feature, from_feedback, to_opinion
from server.handlers.trailers import tell_written

Context = grpc.aio.ServicerContext[Any, Any]


class FeatureHandler(FeatureServiceServicer):
    """Serves FeatureService."""

    def __init__(self, features: GatedFeatures, digests: Digests, *, refresh_seconds: int) -> None:
        self._features = features
        self._digests = digests
        self._refresh_interval = Duration(seconds=refresh_seconds)

    async def GetFeatures(
        self, request: messages.GetFeaturesRequest, context: Context
    ) -> messages.GetFeaturesResponse:
        features = self._features.list(current_caller())
        return messages.GetFeaturesResponse(
            features=map(from_feature, features), refresh_interval=self._refresh_interval
        )

    async def SendFeedback(
        self, request: messages.SendFeedbackRequest, context: Context
    ) -> messages.SendFeedbackResponse:
        key = self._digests.key(request, request.feedback)
        written = await self._features.rate(current_caller(), key, to_opinion(request.feedback))
        tell_written(context, written.current, replayed=written.replayed)
        return messages.SendFeedbackResponse(
            feedback=from_feedback(written.value), revision=str(written.revision)
        )
