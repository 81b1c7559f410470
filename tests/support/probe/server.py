"""The process of the probe: `python -m tests.support.probe.server`; prints its port."""

import asyncio
import base64
import signal
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import grpc
import pygrpc_native.aio
import uvloop
from grpc_reflection.v1alpha import reflection

from tests.support.probe import SERVICE
from tests.support.probe.contract import message_class, pool

_SEEN = 1000
_ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class _Behaviour:
    """What the methods do, and what they have seen."""

    def __init__(
        self, *, delay: float, fail_every: int, code: str, stall_at: int, stall: float
    ) -> None:
        self._delay = delay
        self._fail_every = fail_every
        self._code = grpc.StatusCode[code]
        self._stall_at = stall_at
        self._stall = stall
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._begun = 0
        self.calls: Counter[str] = Counter()
        self.messages = 0
        self.peers: set[str] = set()
        self.seen: deque[Any] = deque(maxlen=_SEEN)

    async def begin(self, method: str, request: Any, context: Any) -> None:
        self._begun += 1
        number = self._begun
        self.messages += 1
        self.peers.add(context.peer())
        metadata = {
            key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for key, value in context.invocation_metadata()
        }
        self.seen.append(message_class("Seen")(method=method, request=request, metadata=metadata))
        if number == self._stall_at:
            # All calls wait for it: nothing else runs meanwhile.
            time.sleep(self._stall)  # noqa: ASYNC251
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._fail_every and number % self._fail_every == 0:
            self.calls[f"{method} {self._code.name}"] += 1
            await context.abort(self._code, "as it was told to")

    def cancelled(self, method: str) -> None:
        self.calls[f"{method} CANCELLED"] += 1

    def end(self, method: str) -> None:
        self.calls[f"{method} OK"] += 1


class _Methods:
    def __init__(self, behaviour: _Behaviour) -> None:
        self._behaviour = behaviour
        self._reply = message_class("EchoReply")

    async def echo(self, request: Any, context: Any) -> Any:
        await self._behaviour.begin("Echo", request, context)
        self._behaviour.end("Echo")
        context.set_trailing_metadata((("probe-answer", "echo"),))
        return self._reply(request=request)

    async def collect(self, requests: AsyncIterator[Any], context: Any) -> Any:
        count = 0
        async for request in requests:
            if count == 0:
                await self._behaviour.begin("Collect", request, context)
            else:
                self._behaviour.messages += 1
            count += 1
        self._behaviour.end("Collect")
        return message_class("CollectReply")(messages=count)

    async def repeat(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._behaviour.begin("Repeat", None, context)
        try:
            for index in range(request.messages):
                yield self._reply(request=message_class("EchoRequest")(big_number=index))
                await asyncio.sleep(request.interval_milliseconds / 1000)
        except (asyncio.CancelledError, GeneratorExit):
            # The one as it waits, the other as an answer cannot be sent any more.
            self._behaviour.cancelled("Repeat")
            raise
        self._behaviour.end("Repeat")

    async def chat(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        first = True
        async for request in requests:
            if first:
                await self._behaviour.begin("Chat", request, context)
                first = False
            else:
                self._behaviour.messages += 1
            yield self._reply(request=request)
        self._behaviour.end("Chat")

    async def tell(self, request: Any, _context: Any) -> Any:
        behaviour = self._behaviour
        reply = message_class("TellReply")(
            calls=behaviour.calls,
            messages_received=behaviour.messages,
            connections=len(behaviour.peers),
            seen=behaviour.seen,
        )
        if request.forget:
            behaviour.forget()
        return reply

    def handlers(self) -> dict[str, Any]:
        def handler(make: Any, method: Any, request: str) -> Any:
            return make(
                method,
                request_deserializer=message_class(request).FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        return {
            "Echo": handler(grpc.unary_unary_rpc_method_handler, self.echo, "EchoRequest"),
            "Collect": handler(grpc.stream_unary_rpc_method_handler, self.collect, "EchoRequest"),
            "Repeat": handler(grpc.unary_stream_rpc_method_handler, self.repeat, "RepeatRequest"),
            "Chat": handler(grpc.stream_stream_rpc_method_handler, self.chat, "EchoRequest"),
            "Tell": handler(grpc.unary_unary_rpc_method_handler, self.tell, "TellRequest"),
        }


class _MethodsToo:
    """The pool of descriptors; finds methods too, as servers in Go do, whom ghz asks for them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pool(), name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802 - as the pool has it.
        with suppress(KeyError):
            return pool().FindFileContainingSymbol(symbol)
        return pool().FindFileContainingSymbol(symbol.rpartition(".")[0])


async def _serve(*, fast: bool, port: int, certificates: Path | None, **behaviour: Any) -> None:
    server: Any = (
        pygrpc_native.aio.Server(io_threads=1) if fast else grpc.aio.server(options=_ANY_SIZE)
    )
    handlers = _Methods(_Behaviour(**behaviour)).handlers()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
    if not fast:
        names = [SERVICE, reflection.SERVICE_NAME]
        methods_too: Any = _MethodsToo()
        reflection.enable_server_reflection(names, server, methods_too)
    address = f"127.0.0.1:{port}"
    if certificates:
        pair = [(certificates / name).read_bytes() for name in ("server.key", "server.pem")]
        authority = certificates / "ca.pem" if (certificates / "mutual").exists() else None
        credentials = grpc.ssl_server_credentials(
            [(pair[0], pair[1])],
            authority.read_bytes() if authority else None,
            authority is not None,
        )
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    await server.start()
    print(port, flush=True)  # noqa: T201
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(0)


@click.command()
@click.option("--fast", is_flag=True, help="On the native transport, which has no reflection here.")
@click.option("--port", default=0)
@click.option("--delay", default=0.0, help="Seconds that every call takes.")
@click.option("--fail-every", default=0, help="Every so many calls fail.")
@click.option("--code", default="UNAVAILABLE", help="How they fail.")
@click.option("--stall-at", default=0, help="The call, from 1, at which everything stalls.")
@click.option("--stall", default=1.0, help="For how many seconds.")
@click.option(
    "--certificates",
    type=click.Path(path_type=Path),
    help="A folder with server.key, server.pem; with ca.pem and a file `mutual`, clients need one.",
)
def main(**options: Any) -> None:
    """Serve until SIGTERM."""
    uvloop.run(_serve(**options))


if __name__ == "__main__":
    main()
