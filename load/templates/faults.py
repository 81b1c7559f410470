"""What goes wrong in a template, and where."""

from load.errors import DataError

_EXCERPT = 40


class Fault(Exception):
    """A value that a function cannot use. Whoever called the function knows where that is."""


def template_error(text: str, at: int, message: str) -> DataError:
    """Return the error about a template that tells its line, its column and what stands there."""
    start = text.rfind("\n", 0, at) + 1
    rest = text[at:].split("}}", 1)[0].split("\n", 1)[0].strip()
    excerpt = rest if len(rest) <= _EXCERPT else f"{rest[:_EXCERPT]}…"
    place = f"template, line {text.count(chr(10), 0, at) + 1}, column {at - start + 1}"
    return DataError(f"{place}, at {excerpt or 'its end'}: {message}")
