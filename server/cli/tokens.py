"""Development's tokens."""

from uuid import UUID

from server.settings import Settings, SettingsError


def sign(
    settings: Settings, merchant_id: UUID, *, subject: str, scopes: list[str], lifetime: float
) -> str:
    """Return a token signed with the development key of the data directory.

    Args:
        settings: Where the key is, and what a token must name.
        merchant_id: The merchant of the token.
        subject: Who acts for it.
        scopes: What the token allows.
        lifetime: How long, in seconds.

    Raises:
        SettingsError: This is not development.
    """
    if not settings.is_development:
        raise SettingsError(
            "PATRON_ENVIRONMENT",
            f"is {settings.environment}: the development key signs tokens in development only",
        )
    from server.auth.development import DevelopmentKey

    signer = DevelopmentKey.open(settings.data_dir).signer(
        issuer=settings.auth_issuer, audience=settings.auth_audience
    )
    return signer.sign(merchant_id=merchant_id, subject=subject, scopes=scopes, lifetime=lifetime)


def all_scopes() -> list[str]:
    """Return every scope that a method of the contract asks for, sorted."""
    from patron.analytics.v1 import analytics_service_pb2
    from patron.bill.v1 import bill_service_pb2
    from patron.customer.v1 import customer_service_pb2
    from patron.feature.v1 import feature_service_pb2
    from patron.options.v1.options_pb2 import policy

    contract = (
        analytics_service_pb2,
        bill_service_pb2,
        customer_service_pb2,
        feature_service_pb2,
    )
    return sorted(
        {
            method.GetOptions().Extensions[policy].scope
            for file in contract
            for service in file.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }
    )
