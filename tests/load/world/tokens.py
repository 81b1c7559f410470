"""Tokens of the merchants, signed with the development key of a data directory."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from server.auth.development import DevelopmentKey
from server.cli.tokens import all_scopes
from server.settings import Settings
from tests.load.world import calls

_SECONDS = 4 * 3600


class Tokens:
    """Signs a token for each merchant, once."""

    def __init__(self, data_dir: Path) -> None:
        settings = Settings.load({}, data_dir=data_dir)
        self._signer = DevelopmentKey.open(data_dir).signer(
            issuer=settings.auth_issuer, audience=settings.auth_audience
        )
        self.of = cache(self._sign)
        """Returns the token of a merchant."""

    def metadata(self, merchant: int) -> Sequence[tuple[str, str]]:
        """Return what authorizes the calls of a merchant."""
        return [("authorization", f"Bearer {self.of(merchant)}")]

    def all_of(self, merchants: Iterable[int]) -> dict[int, str]:
        """Return the tokens of these merchants."""
        return {merchant: self.of(merchant) for merchant in merchants}

    def _sign(self, merchant: int) -> str:
        return self._signer.sign(
            merchant_id=calls.merchant_id(merchant),
            subject="bench",
            scopes=all_scopes(),
            lifetime=_SECONDS,
        )
