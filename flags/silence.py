"""What is told of a server that does not answer."""

import ssl

import urllib3


def unanswered(url: str, error: Exception) -> str:
    """Return where a server does not answer and why, as a sentence without its subject.

    Args:
        url: What was asked.
        error: What urllib3 raised.
    """
    return f"does not answer at {place_of(url)}: {_reason(error)}"


def place_of(url: str) -> str:
    """Return the address of a server alone: neither a user and password, nor a path."""
    parts = urllib3.util.parse_url(url)
    return urllib3.util.Url(parts.scheme, host=parts.host, port=parts.port).url


def _reason(error: Exception) -> str:
    """Return a reason for a reader: urllib3's own texts name classes of Python, and addresses."""
    # What cannot be connected to counts as a timeout there.
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    ):
        return "timed out"
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return "it speaks no TLS that is understood"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return "it ended the connection"
