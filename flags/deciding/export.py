"""The flags as Unleash tells them now, for a file."""

import json
from typing import Final

import urllib3
from UnleashClient.constants import APPLICATION_HEADERS, FEATURES_URL

from flags.deciding.snapshot import FlagsUnusable, Snapshot

_SECONDS: Final = 10
_OK: Final = 200


def fetch(url: str, token: str) -> str:
    """Return the flags that Unleash's client API tells whom this token is for.

    Raises:
        FlagsUnusable: It does not answer, or something else.
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
        raise FlagsUnusable(f"cannot be asked ({type(error).__name__})") from error
    if response.status != _OK:
        raise FlagsUnusable(f"answers with status {response.status}, not {_OK}")
    Snapshot.parse(response.data)
    return json.dumps(json.loads(response.data), indent=2) + "\n"
