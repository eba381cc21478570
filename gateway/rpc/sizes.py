"""How messages are taken in: none that is too large, and none that cannot be read.

There is one limit of size for all methods, beside which some may bring one thing that is large by nature.

gRPC limits messages for a whole server, before it knows the method, and answers in words of its own that no program
can read and no window can show. Its limit is therefore the largest of any method, and what is too large for the method
called is refused here, as everything else is: with reason, words and an access line. What is larger than any method
takes is not taken in at all, so that nobody fills the memory: gRPC says RESOURCE_EXHAUSTED, and no more. For bytes that
are no message gRPC would say UNKNOWN, and log the trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from gateway.errors import GatewayError, MessageTooLarge, MessageUnreadable

Context = aio.ServicerContext[Any, Any]
Beside = Callable[[Any], int]
"""Says how many bytes of a message are the large thing that its method may bring."""


class AddServicer(Protocol):
    """The generated `add_XServicer_to_server`."""

    def __call__(self, servicer: Any, server: Any, /) -> None:
        """Register the servicer's methods."""
        ...


class Refuse(Protocol):
    """Ends a call of a method with an error, and tells of it (`Door.refuse`)."""

    def __call__(self, context: Context, method: str, error: Exception, /) -> Awaitable[None]:
        """End the call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The most bytes of a message; and for methods (`Service/Method`) what they may bring beside."""

    most: int
    beside: Mapping[str, Beside]
    refuse: Refuse

    def bound(self, add: AddServicer) -> AddServicer:
        """Have the methods that `add` registers refuse what is too large."""
        return lambda servicer, server: add(servicer, _BoundedServer(server, self))


class _BoundedServer:
    """What the generated code registers methods at; it passes them on with bounds."""

    def __init__(self, server: aio.Server, sizes: Sizes) -> None:
        self._server = server
        self._sizes = sizes

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Pass over what is registered once more below, by name."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Register the methods of a service."""
        short = service.rpartition(".")[2]
        bounded = {name: _bounded(f"{short}/{name}", handler, self._sizes) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, bounded)])
        self._server.add_registered_method_handlers(service, bounded)


def _bounded(
    method: str, handler: grpc.RpcMethodHandler[Any, Any], sizes: Sizes
) -> grpc.RpcMethodHandler[Any, Any]:  # fmt: skip
    read, beside = handler.request_deserializer, sizes.beside.get(method)
    if read is None:
        raise TypeError(f"{method} has no deserializer")

    def bounded(content: bytes) -> Any:
        if beside is None and len(content) > sizes.most:
            raise MessageTooLarge(sizes.most)
        try:
            message = read(content)
        except DecodeError as error:  # its text may quote what was sent
            raise MessageUnreadable from error
        if len(content) > sizes.most and (beside is None or len(content) - beside(message) > sizes.most):
            raise MessageTooLarge(sizes.most)
        return message

    def kept(content: bytes) -> Any:
        # An exception here would end the call in gRPC's words: it is carried to where there is a context to abort.
        try:
            return bounded(content)
        except GatewayError as error:
            return error

    made: grpc.RpcMethodHandler[Any, Any]
    if handler.request_streaming:
        made = _of_stream(handler, bounded)  # read in the servicer, behind the door
    elif handler.unary_stream is not None:
        many = _stream(method, handler.unary_stream, sizes.refuse)
        made = grpc.unary_stream_rpc_method_handler(many, kept, handler.response_serializer)
    else:
        one = _unary(method, handler.unary_unary, sizes.refuse)
        made = grpc.unary_unary_rpc_method_handler(one, kept, handler.response_serializer)
    return made


def _unary(method: str, serve: Any, refuse: Refuse) -> Any:
    async def bounded(request: object, context: Context) -> object:
        try:
            if isinstance(request, GatewayError):
                await refuse(context, method, request)
            return await serve(request, context)
        except aio.AbortError as ended:
            del request
            raise _bare(ended)  # noqa: B904  no cause: it would keep what this lets go

    return bounded


def _stream(method: str, serve: Any, refuse: Refuse) -> Any:
    async def bounded(request: object, context: Context) -> AsyncIterator[object]:
        try:
            if isinstance(request, GatewayError):
                await refuse(context, method, request)
            async with aclosing(serve(request, context)) as responses:
                async for response in responses:
                    yield response
        except aio.AbortError as ended:
            del request
            raise _bare(ended)  # noqa: B904  as above

    return bounded


def _of_stream(handler: grpc.RpcMethodHandler[Any, Any], read: Callable[[bytes], Any]) -> Any:
    many: Any = handler.stream_stream
    if many is not None:
        return grpc.stream_stream_rpc_method_handler(_read_there(many), read, handler.response_serializer)
    one: Any = handler.stream_unary
    return grpc.stream_unary_rpc_method_handler(_read_there(one), read, handler.response_serializer)


def _read_there(serve: Any) -> Any:
    """Serve a method that reads its messages by itself."""

    async def bounded(requests: object, context: Context) -> object:
        try:
            return await serve(requests, context)
        except aio.AbortError as ended:
            raise _bare(ended)  # noqa: B904  as above

    return bounded


def _bare(ended: aio.AbortError) -> aio.AbortError:
    """Take from the end of a call everything that led to it.

    gRPC keeps this error with the call's state, which the frames on its way know: a circle that would keep them, and
    with them the message, until a search for garbage finds it. Many large calls that are refused would fill the memory.
    """
    ended.__context__ = ended.__cause__ = None
    return ended.with_traceback(None)
