"""Features that not every merchant has."""

from collections.abc import Awaitable

from domain.errors import FailedPreconditionError, Reason
from domain.ports import Features
from server.call import Arm, current_caller, set_arm
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method


class FeatureGate(Interceptor):
    """Lets a call of a gated method pass if its merchant has the feature.

    It also says in which arm of a rollout every call is that it lets pass: of the feature's own, or
    of the one that is watched where a method has no feature. A refused call is in none: it did no
    work that could be compared. A stream is asked about once, at its beginning.
    """

    def __init__(self, features: Features, *, watched: str) -> None:
        """Ask `features`; `watched` is the one by whose arms the other methods are told apart."""
        self._features = features
        self._watched = watched

    def wrap(self, method: Method, call: Call) -> Call:
        """Gate the calls of the method, if its policy names a feature."""
        feature = arms_of(method, self._watched)
        decide = self._features.decide
        treatment, control = Arm(feature, treatment=True), Arm(feature, treatment=False)

        def gated(request: Payload, context: Context) -> Awaitable[Payload]:
            if not decide(feature, current_caller()).enabled:
                raise _disabled(feature)
            set_arm(treatment)
            return call(request, context)

        def ungated(request: Payload, context: Context) -> Awaitable[Payload]:
            has_it = decide(feature, current_caller()).enabled
            set_arm(treatment if has_it else control)
            return call(request, context)

        return gated if method.policy.feature else ungated


def arms_of(method: Method, watched: str) -> str:
    """Return the feature by whose arms the calls of a method are told apart."""
    return method.policy.feature or watched


def _disabled(feature: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        Reason.FEATURE_DISABLED,
        f"the merchant does not have the feature {feature} yet",
        metadata={"feature": feature},
    )
