"""What gRPC takes as metadata."""

import re

from load.errors import DataError

_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")
BINARY = "-bin"
"""How the keys of binary values end."""


def header(key: str, value: str | bytes) -> tuple[str, str | bytes]:
    """Return a pair of metadata, its key in lower case.

    Args:
        key: As people write it.
        value: Bytes where the key ends with `-bin`.

    Raises:
        DataError: gRPC would not send it.
    """
    lower = key.lower()
    if not _KEY.fullmatch(lower):
        raise DataError(f"{key!r} is no key: letters, digits, '-', '_' and '.' are")
    if lower.startswith("grpc-"):
        raise DataError(f"{key!r} is a key of gRPC itself")
    if isinstance(value, str) and not _VALUE.fullmatch(value):
        raise DataError(
            f"the value of {key} has other characters than printable ASCII:"
            f" a key that ends with {BINARY} can have any"
        )
    return lower, value
