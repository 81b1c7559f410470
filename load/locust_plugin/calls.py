"""Calls that are measured, and told of once however they end."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import gevent
import grpc
from gevent import GreenletExit
from gevent.event import AsyncResult

from load.calls import Kind, Metadata
from load.locust_plugin.errors import CallFailed
from load.locust_plugin.metering import Account

Message: TypeAlias = Any
"""Of a type that only stubs know; bytes without serializers."""
Sized: TypeAlias = tuple[Message, int]
"""A message that came, and how many bytes it had."""


@dataclass(frozen=True, slots=True, eq=False)
class Ongoing:
    """A call of gRPC whose answers are `Sized`, and the account of it."""

    account: Account
    call: Any

    def end(self) -> Message:
        """Tell how it has ended, and return the answer of a call that has one.

        Raises:
            CallFailed: Not as OK.
        """
        if self.call.code() is not grpc.StatusCode.OK:
            raise self.fail(self.call)
        response = None
        if not self.account.kind.server_streams:
            response, length = self.call.result()
            self.account.received(length)
        self.account.succeed(response)
        return response

    def fail(self, error: grpc.RpcError) -> CallFailed:
        """Tell that it failed, and return how."""
        trailing = tuple((each.key, each.value) for each in error.trailing_metadata() or ())
        failed = CallFailed(error.code(), error.details() or "", trailing)
        self.account.fail(failed)
        return failed

    def give_up(self, why: BaseException) -> None:
        """Cancel it, and tell that it was cut off; one that has ended is told of as it ended."""
        if self.call.cancel():
            self.account.cut_off(why)
        else:
            self._end_quietly()

    def break_off(self) -> None:
        """Cancel a stream that has given all that was wanted of it: it counts as OK."""
        if self.call.cancel():
            self.account.succeed()
        else:
            self._end_quietly()

    def _end_quietly(self) -> None:
        with suppress(CallFailed):
            self.end()


class Calls:
    """The calls of a user that have not ended."""

    def __init__(self) -> None:
        self._ongoing: set[Ongoing] = set()
        self._abandoned: set[Ongoing] = set()

    def add(self, call: Ongoing) -> None:
        """Remember a call until it is discarded."""
        self._ongoing.add(call)

    def knows(self, call: Ongoing) -> bool:
        """Return whether it was not told of."""
        return call in self._ongoing

    def discard(self, call: Ongoing) -> None:
        """Forget a call that was told of."""
        self._ongoing.discard(call)
        self._abandoned.discard(call)

    def abandon(self, call: Ongoing) -> None:
        """Have a call broken off that nobody has any more, as soon as others can run."""
        self._abandoned.add(call)
        gevent.spawn(self.break_off, call)

    def break_off(self, call: Ongoing) -> None:
        """Break off a call, and forget it, unless that has been done."""
        if self.knows(call):
            self.discard(call)
            call.break_off()

    def break_off_abandoned(self) -> None:
        """Break off what was abandoned just now."""
        while self._abandoned:
            self.break_off(self._abandoned.pop())

    def give_up(self, why: BaseException) -> None:
        """Cut off all of them."""
        self._abandoned.clear()
        while self._ongoing:
            self._ongoing.pop().give_up(why)


@dataclass(frozen=True, slots=True)
class Starter:
    """How calls of a method are begun."""

    kind: Kind
    start: Callable[..., Any]
    """gRPC's, by which nobody waits."""
    account: Callable[[], Account]
    """Opens an account, from which on time counts."""
    options: Callable[[dict[str, object]], dict[str, object]]
    """Adds what calls have unless they say otherwise."""
    calls: Calls

    def begin(self, request: Message, options: dict[str, object]) -> Ongoing:
        """Make a call.

        Raises:
            CallFailed: A message cannot be encoded.
        """
        # locust may have seen its user wait, and be about to stop it: that happens here, and not in
        # a call which --stop-timeout would have let end.
        gevent.sleep(0)
        options = self.options(options)
        account = self.account()
        if self.kind.client_streams:
            request = _counted(account, request)
        else:
            account.messages_sent = 1
        try:
            call = self.start(request, **options)
        except grpc.RpcError as error:
            raise Ongoing(account, error).fail(error) from None
        except (GreenletExit, gevent.Timeout) as why:
            # It may be on its way: gRPC waits for a greenlet that is to watch over the channel.
            account.cut_off(why)
            raise
        ongoing = Ongoing(account, call)
        self.calls.add(ongoing)
        call.add_done_callback(account.stamp)
        return ongoing


def _counted(account: Account, messages: Iterable[Message]) -> Iterator[Message]:
    for message in messages:
        account.messages_sent += 1
        yield message


class OneAnswer:
    """A method that returns one message."""

    def __init__(self, starter: Starter) -> None:
        self._starter = starter

    def __call__(self, request: Message, **options: object) -> Message:
        """Return the answer.

        Args:
            request: The message, or those of a stream.
            options: Those of gRPC: `timeout` in seconds, `metadata`, and so on.

        Raises:
            CallFailed: The call did not end as OK.
        """
        return self.with_call(request, **options)[0]

    def with_call(self, request: Message, **options: object) -> tuple[Message, grpc.Call]:
        """Return the answer, and the call with its metadata.

        Raises:
            CallFailed: The call did not end as OK.
        """
        ongoing = self._starter.begin(request, options)
        try:
            _wait(ongoing)
            return ongoing.end(), ongoing.call
        finally:
            self._starter.calls.discard(ongoing)


def _wait(ongoing: Ongoing) -> None:
    # gRPC's own way to wait looks every 200 ms whether there is a signal, which costs a timer.
    ended: AsyncResult = AsyncResult()
    try:
        ongoing.call.add_done_callback(ended.set)
        ended.get()
    except BaseException as why:
        ongoing.give_up(why)
        raise


class ManyAnswers:
    """A method that returns a stream of messages."""

    def __init__(self, starter: Starter) -> None:
        self._starter = starter

    def __call__(self, request: Message, **options: object) -> "MeasuredStream":
        """Return the stream of answers.

        Args:
            request: The message, or those of a stream.
            options: Those of gRPC: `timeout` in seconds, `metadata`, and so on.

        Raises:
            CallFailed: The message cannot be encoded.
        """
        return MeasuredStream(self._starter.begin(request, options), self._starter.calls)


class MeasuredStream:
    """The answers of a call, in their order.

    The call is measured until it ends: when all answers were taken, or it fails. It also ends when
    it is cancelled, or when nobody has the stream any more, such as after a `break`: that counts as
    OK.
    """

    def __init__(self, ongoing: Ongoing, calls: Calls) -> None:
        self._ongoing = ongoing
        self._calls = calls

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            message, length = next(self._ongoing.call)
        except StopIteration:
            self._ongoing.account.succeed()
            self._calls.discard(self._ongoing)
            raise
        except grpc.RpcError as error:
            self._calls.discard(self._ongoing)
            raise self._ongoing.fail(error) from None
        except BaseException as why:
            self._calls.discard(self._ongoing)
            self._ongoing.give_up(why)
            raise
        self._ongoing.account.received(length)
        return message

    def cancel(self) -> None:
        """Break the call off; if it has ended, nothing happens."""
        self._calls.break_off(self._ongoing)

    def __del__(self) -> None:
        # Who has it no more may be just now killed: then its call is cut off, and not broken off.
        # And those who listen to its end may have to wait, which nobody can while memory is freed.
        if self._calls.knows(self._ongoing):
            self._ongoing.account.stamp()
            self._calls.abandon(self._ongoing)

    def initial_metadata(self) -> Metadata:
        """Return what the server sent before its first answer; waits for it."""
        metadata: Metadata = self._ongoing.call.initial_metadata()
        return metadata

    def trailing_metadata(self) -> Metadata:
        """Return what the server sent in the end; waits for it."""
        metadata: Metadata = self._ongoing.call.trailing_metadata()
        return metadata

    def code(self) -> grpc.StatusCode:
        """Return the status code; waits for it."""
        code: grpc.StatusCode = self._ongoing.call.code()
        return code

    def details(self) -> str:
        """Return what the server, or gRPC, says about how it ended; waits for it."""
        details: str = self._ongoing.call.details()
        return details
