"""The floor in Python: a bare grpc.aio server that answers the message it was sent."""

import sys
from typing import Any

import grpc
import uvloop
from google.protobuf.wrappers_pb2 import BytesValue

from server.settings import Settings, Transport
from server.transports import open_server


async def _echo(request: BytesValue, _context: Any) -> BytesValue:
    return request


async def _serve(port: int) -> None:
    # As Patron opens its own, with the same options.
    settings = Settings.load({}, port=port, transport=Transport.GRPCIO)
    server, _ = open_server(settings)
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=BytesValue.FromString,
        response_serializer=BytesValue.SerializeToString,
    )
    # Both, as generated code does: not every release of grpc.aio looks at the second.
    service, methods = "patron.bench.Echo", {"Echo": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    server.add_registered_method_handlers(service, methods)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
