"""What is different at every call: identifiers, and random numbers and text.

`newUUID`, `randomString` and `randomInt` are those of ghz (`runner/calldata.go`), the others those
of sprig. None of it is for secrets: a load must be quick to make.
"""

import random
import string
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final

from load.templates.faults import Fault
from load.templates.values import Value

_SHORTEST: Final = 2
_LONGEST: Final = 16
_MOST: Final = 2**26
_LETTERS_AND_DIGITS: Final = string.ascii_letters + string.digits
_ASCII: Final = "".join(map(chr, range(32, 127)))


def new_uuid() -> str:
    """Return a random UUID (version 4)."""
    bits = random.getrandbits(128)
    bits = bits & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_string(length: int) -> str:
    """Return letters and digits; as many as are asked for, or 2 to 16."""
    if length <= 0:
        length = random.randint(_SHORTEST, _LONGEST)  # noqa: S311 - No secret.
    return _chosen(_LETTERS_AND_DIGITS, length)


def random_int(least: int, end: int) -> int:
    """Return an integer that is not below `least`, but below `end`.

    A negative `least` is taken for 0, and an `end` that is not positive for 1, as in ghz.
    """
    return _below(max(least, 0), end if end > 0 else 1)


def _below(least: int, end: int) -> int:
    if least >= end:
        raise Fault(f"there is no integer from {least} that is less than {end}")
    return random.randrange(least, end)  # noqa: S311 - No secret.


def _chosen(characters: str, length: int) -> str:
    if not 0 <= length <= _MOST:
        raise Fault(f"a string cannot have {length} characters here")
    return "".join(random.choices(characters, k=length))  # noqa: S311 - No secret.


def _alphanumeric(length: int) -> str:
    return _chosen(_LETTERS_AND_DIGITS, length)


def _letters(length: int) -> str:
    return _chosen(string.ascii_letters, length)


def _digits(length: int) -> str:
    return _chosen(string.digits, length)


def _ascii(length: int) -> str:
    return _chosen(_ASCII, length)


def _bytes(length: int) -> str:
    if not 0 <= length <= _MOST:
        raise Fault(f"there cannot be {length} bytes here")
    return b64encode(random.randbytes(length)).decode()  # noqa: S311 - No secret.


def _shuffle(text: str) -> str:
    return "".join(random.sample(text, len(text)))


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "newUUID": new_uuid,
    "randomString": random_string,
    "randomInt": random_int,
    "uuidv4": new_uuid,
    "randAlphaNum": _alphanumeric,
    "randAlpha": _letters,
    "randNumeric": _digits,
    "randAscii": _ascii,
    "randBytes": _bytes,
    "randInt": _below,
    "shuffle": _shuffle,
}
