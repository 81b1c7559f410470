"""What a client sends beside its request."""

from collections.abc import Iterable

from server.interceptors.interceptor import Context


def metadata_of(context: Context) -> Iterable[tuple[str, str | bytes]]:
    """Return the names, in lower case, and the values that the client sent.

    pygrpc-native's contexts make a named tuple of every pair each time that they are asked, which
    takes longer than all that is done with them. It keeps the plain pairs, though not for the
    public: where they are not found, it is asked like any other.
    """
    pairs = getattr(getattr(context, "_call", None), "metadata", None)
    return pairs if isinstance(pairs, tuple) else context.invocation_metadata() or ()
