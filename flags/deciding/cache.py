"""What UnleashClient keeps its flags in: here it is seen what comes of every poll."""

import time
from typing import Any, Final

import requests
import structlog
from UnleashClient.cache import BaseCache
from UnleashClient.constants import ETAG, FEATURES_URL

from flags.deciding.heard import forget_words, why
from flags.deciding.last_good import LastGood
from flags.deciding.snapshot import FlagsUnusable, Snapshot

_NOT_MODIFIED: Final = 304

_log = structlog.get_logger()


class SnapshotCache(BaseCache):
    """Takes flags alone, whatever Unleash answers; keeps the last good ones over a start.

    A poll asks for the etag, stores the flags that came, stores the etag that came, and asks for
    the flags to give them to the engine. When nothing came, only the first and the last of it:
    that nothing has changed is seen of the response alone.
    """

    def __init__(self, last_good: LastGood, bootstrap: Snapshot | None) -> None:
        """Begin with the last good flags, or else those of the bootstrap, or else none."""
        self._last_good = last_good
        found = last_good.load() or bootstrap
        self.snapshot = found or Snapshot.nothing()
        self.bootstrapped = found is not None
        self._etag = ""
        self._answered_at = time.monotonic()
        self._fails = False
        self._polls = False
        self._taken = False
        self._confirmed = False
        self._refusal: str | None = None

    @property
    def age(self) -> float:
        """Seconds since Unleash last told flags or that they are the same; before: of the start."""
        return time.monotonic() - self._answered_at

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as the base has it
        """Return the etag, which begins a poll, or the flags, which ends it."""
        if key == ETAG:
            self._begin()
            return self._etag
        if key == FEATURES_URL:
            self._end()
            return self.snapshot.text or default
        return default

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 - as the base has it
        """Store flags, if they are, or their etag."""
        if key == FEATURES_URL:
            self._take(value)
        elif key == ETAG and self._taken:
            # Any other belongs to what was refused: asked with it, Unleash would not tell good
            # flags again.
            self._etag = value

    def answered(self, response: requests.Response, *_: object, **__: object) -> None:
        """See whether a response, of any request to Unleash, says that the flags are the same.

        UnleashClient does not tell that apart from a failure: Unleash sends no etag with it.
        """
        asked = response.request.headers.get("If-None-Match")
        if response.status_code == _NOT_MODIFIED and asked and asked == self._etag:
            self._confirmed = True

    def mset(self, data: dict[str, Any]) -> None:
        """Store nothing: UnleashClient begins with an empty etag, as this does."""

    def exists(self, key: str) -> bool:
        """Return whether there are flags."""
        return key == FEATURES_URL and bool(self.snapshot.text)

    def destroy(self) -> None:
        """Leave the file to the next start."""

    def _begin(self) -> None:
        self._polls, self._taken, self._confirmed, self._refusal = True, False, False, None
        forget_words()

    def _take(self, text: str) -> None:
        try:
            snapshot = Snapshot.parse(text)
        except FlagsUnusable as error:
            self._refusal = f"the answer {error}"
            return
        if snapshot.text != self.snapshot.text:
            self._last_good.keep(snapshot)
        # The etag is that of the flags before until the next one comes.
        self.snapshot, self._etag, self._taken = snapshot, "", True

    def _end(self) -> None:
        if not self._polls:
            return
        self._polls = False
        fails = not (self._taken or self._confirmed)
        if not fails:
            self._answered_at = time.monotonic()
        if fails and not self._fails:
            _log.warning(
                "Unleash cannot be asked: what it told last decides", reason=self._refusal or why()
            )
        elif self._fails and not fails:
            _log.info("Unleash answers again")
        self._fails = fails
