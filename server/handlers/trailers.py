"""What every answer to a write says beside its message."""

from typing import Any

import grpc.aio

from domain.model.merchant import Revision


def tell_written(
    context: grpc.aio.ServicerContext[Any, Any], revision: Revision, *, replayed: bool = False
) -> None:
    """Set the trailers `patron-revision` and, on a repeated request, `patron-replayed`."""
    trailers = [("patron-revision", str(revision))]
    if replayed:
        trailers.append(("patron-replayed", "true"))
    context.set_trailing_metadata(tuple(trailers))
