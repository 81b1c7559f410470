"""The flags as Unleash tells them now, for a file."""

import json
from typing import Final

import urllib3
from UnleashClient.constants import APPLICATION_HEADERS, FEATURES_URL

from flags.deciding.snapshot import FlagsUnusable, Snapshot
from flags.silence import place_of, unanswered

_SECONDS: Final = 10
_OK: Final = 200


def fetch(url: str, token: str) -> str:
    """Return the flags that Unleash's client API tells whom this token is for.

    Raises:
        FlagsUnusable: It does not answer, or something else; the subject is Unleash.
    """
    try:
        response = urllib3.request(
            "GET",
            f"{url.rstrip('/')}{FEATURES_URL}",
            # The same specification as the client's: what is told depends on it.
            headers={**APPLICATION_HEADERS, "Authorization": token},
            timeout=_SECONDS,
            retries=False,
        )
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FlagsUnusable(unanswered(url, error)) from error
    if response.status != _OK:
        raise FlagsUnusable(f"at {place_of(url)} answers with status {response.status}, not {_OK}")
    try:
        Snapshot.parse(response.data)
    except FlagsUnusable as error:
        raise FlagsUnusable(f"at {place_of(url)} {error}") from error
    return json.dumps(json.loads(response.data), indent=2) + "\n"
