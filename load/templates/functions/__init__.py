"""The functions of templates: Go's own, those of ghz, and the common ones of sprig."""

from collections.abc import Mapping
from typing import Final

from load.templates.functions import (
    builtins,
    dates,
    encoding,
    lists,
    maps,
    numbers,
    randoms,
    regexes,
    strings,
)
from load.templates.signatures import Signature, signatures

BUILTINS: Final[Mapping[str, Signature]] = signatures(builtins.FUNCTIONS)
"""Those that every template of Go has."""

# As in ghz, `slice` is the one of sprig where its functions are there.
FUNCTIONS: Final[Mapping[str, Signature]] = {
    **BUILTINS,
    **signatures(strings.FUNCTIONS),
    **signatures(numbers.FUNCTIONS),
    **signatures(lists.FUNCTIONS),
    **signatures(maps.FUNCTIONS),
    **signatures(encoding.FUNCTIONS),
    **signatures(dates.FUNCTIONS),
    **signatures(regexes.FUNCTIONS),
    **signatures(randoms.FUNCTIONS),
}
"""All of them."""

METHODS: Final[Mapping[str, Signature]] = signatures(dates.METHODS)
"""Those that a time has; the time is the first argument."""

CHANGING: Final = frozenset(maps.CHANGING)
"""Those that change what they are given."""

VARYING: Final = frozenset({*randoms.FUNCTIONS, "now"})
"""Those that give something else every time."""

_MISSING: Final = frozenset({
    "ago", "bcrypt", "buildCustomCert", "camelcase", "base", "clean", "decryptAES", "deepEqual",
    "derivePassword", "dir", "duration", "durationRound", "encryptAES", "expandenv", "ext", "genCA",
    "genCAWithKey", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey",
    "genSignedCert", "genSignedCertWithKey", "getHostByName", "hello", "htpasswd", "isAbs",
    "kebabcase", "kindIs", "kindOf", "mustToDate", "osBase", "osClean", "osDir", "osExt", "osIsAbs",
    "semver", "semverCompare", "snakecase", "toDate", "typeIs", "typeIsLike", "typeOf", "urlJoin",
    "urlParse", "wrap", "wrapWith",
})  # fmt: skip


def why_absent(name: str) -> str:
    """Return why there is no function of a name."""
    if name in FUNCTIONS:
        return f"the function {name!r} is not there: the functions of templates are switched off"
    if name in _MISSING:
        return f"the function {name!r} of sprig is not supported here"
    if name == "call":
        return "there are no functions among the data that could be called"
    return f"there is no function {name!r}"
