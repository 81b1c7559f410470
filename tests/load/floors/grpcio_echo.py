"""The floor in Python: a bare grpc.aio server that answers the message it was sent."""

import sys
from typing import Any

import grpc
import grpc.aio
import uvloop
from google.protobuf.wrappers_pb2 import BytesValue


async def _echo(request: BytesValue, _context: Any) -> BytesValue:
    return request


async def _serve(port: int) -> None:
    # The options of the channels are those of Patron's own server.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=BytesValue.FromString,
        response_serializer=BytesValue.SerializeToString,
    )
    server.add_registered_method_handlers("patron.bench.Echo", {"Echo": handler})
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
