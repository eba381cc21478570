"""What every call passes through, composed once: who calls, by when, what went wrong, and one access line.

A plain method instead of interceptors: two wrapping interceptors cost 10 % of a call, this costs next to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import structlog
from grpc import aio

from gateway.errors import DeadlineRequired
from gateway.flows.await_receipts import answer_by, end_in
from gateway.rpc.caller import Callers
from gateway.rpc.gathering import Gathering
from gateway.rpc.limits import Limits
from gateway.rpc.operators import Operators
from gateway.rpc.status import code_of, reason_of, status_of
from gateway.rules.roles import Caller, Role

Context = aio.ServicerContext[Any, Any]
Response = TypeVar("Response")
Pace = Callable[[int], Awaitable[None]]
"""Waits until the caller may ask so many questions more."""
CountCall = Callable[[str, str, str, float], None]
"""Takes the method, the gRPC code, the reason (empty where there is none) and the seconds of a call."""

_DETAILS = "grpc-status-details-bin"
_OK = grpc.StatusCode.OK.name
_GONE = grpc.StatusCode.CANCELLED.name
"""Of a call whose client is gone, or whose deadline passed with nobody to tell."""


class Door:
    """Lets calls in, within the caller's limits: `cap` seconds are the most that a call may take; a call without a
    deadline is refused unless `cap_missing` asks for the cap instead. `begin` is called first in each call, in the
    call's own context; `count` is told method, code, reason and seconds of each call when it is over. Calls with one
    answer go on in groups (`gathering`). `page_bytes` is how large the parts of one page may be together."""

    def __init__(
        self,
        callers: Callers,
        operators: Operators,
        limits: Limits,
        gathering: Gathering,
        *,
        cap: float,
        cap_missing: bool,
        page_bytes: int,
        begin: Callable[[], None] = lambda: None,
        count: CountCall,
    ) -> None:
        self._callers = callers
        self._operators = operators
        self._limits = limits
        self._cap = cap
        self._cap_missing = cap_missing
        self._begin = begin
        self._count = count
        self._gathering = gathering
        self.page_bytes = page_bytes
        self._log = structlog.get_logger().bind()  # made once: an unbound logger puts itself together for each line

    async def unary(
        self,
        context: Context,
        method: str,
        roles: tuple[Role, ...],
        handle: Callable[[Caller, float], Awaitable[Response]],
        *,
        ends_by_itself: bool = False,
    ) -> Response:
        """Serve one unary call: `handle` gets the caller and the loop time after which nobody waits.

        `ends_by_itself` says that it raises TimeoutError (or what speaks more clearly) then, and needs no timer here.
        """
        started = time.perf_counter()
        try:
            self._begin()
            caller, _ = self._operators.identify(context, self._callers.identify(context))
            caller.require(*roles)
            deadline = self._deadline(context)
            answer_by(deadline)
            with self._limits.call(caller):
                async with asyncio.timeout_at(None if ends_by_itself else deadline):
                    group = await self._gathering.enter()
                    try:
                        response = await handle(caller, deadline)
                    finally:
                        self._gathering.leave(group)
        except Exception as error:
            await self._refuse(context, method, error, started)
            raise AssertionError("abort raises") from error
        except asyncio.CancelledError:
            self._tell(method, started, code=_GONE)
            raise
        self._tell(method, started, code=_OK)
        return response

    async def stream(
        self,
        context: Context,
        method: str,
        roles: tuple[Role, ...],
        handle: Callable[[Caller], AsyncIterator[Response]],
    ) -> AsyncIterator[Response]:
        """Serve one server stream; it may be long, so only its client limits its time."""
        started = time.perf_counter()
        try:
            self._begin()
            caller, who_counts = self._operators.identify(context, self._callers.identify(context))
            caller.require(*roles)
            still_counts = self._callers.standing(context)
            end_in(context.time_remaining())
            with self._limits.call(caller):
                async for response in handle(caller):
                    still_counts()
                    who_counts()
                    yield response
        except Exception as error:
            await self._refuse(context, method, error, started)
        except (asyncio.CancelledError, GeneratorExit):
            self._tell(method, started, code=_GONE)
            raise
        else:
            self._tell(method, started, code=_OK)

    async def exchange(
        self,
        context: Context,
        method: str,
        roles: tuple[Role, ...],
        handle: Callable[[Caller, Pace], Awaitable[int]],
    ) -> None:
        """Serve one stream in both directions; `handle` reads and writes by itself, and returns how much it did.

        It may stay open for days: each question on it, and not the stream, is what keeps the catalogue it began with;
        and each message, which `handle` tells before it asks, must be of a caller whose certificate still counts.
        """
        started = time.perf_counter()
        try:
            caller, who_counts = self._operators.identify(context, self._callers.identify(context))
            caller.require(*roles)
            still_counts = self._callers.standing(context)

            async def pace(count: int) -> None:
                still_counts()
                who_counts()
                await self._limits.pace(caller, count)

            with self._limits.call(caller):
                done = await handle(caller, pace)
        except aio.InternalError as error:  # what who writes is told where the client has gone meanwhile
            self._tell(method, started, code=_GONE)
            raise asyncio.CancelledError from error
        except Exception as error:
            await self._refuse(context, method, error, started)
        except asyncio.CancelledError:
            self._tell(method, started, code=_GONE)
            raise
        else:
            self._tell(method, started, code=_OK, done=done)

    async def refuse(self, context: Context, method: str, error: Exception) -> None:
        """End a call that comes no further, and tell of it."""
        await self._refuse(context, method, error, time.perf_counter())

    def _deadline(self, context: Context) -> float:
        remaining: float | None = context.time_remaining()
        if remaining is None and not self._cap_missing:
            raise DeadlineRequired(self._cap)
        return asyncio.get_running_loop().time() + min(remaining if remaining is not None else self._cap, self._cap)

    async def _refuse(self, context: Context, method: str, error: Exception, started: float) -> None:
        code, reason = code_of(error), reason_of(error)
        if code is grpc.StatusCode.INTERNAL:
            self._tell(method, started, code=code.name, reason=reason, log=self._log.error, error=_shape(error))
        else:
            self._tell(method, started, code=code.name, reason=reason)
        status = status_of(error)
        await context.abort(code, status.message, ((_DETAILS, status.SerializeToString()),))

    def _tell(
        self,
        method: str,
        started: float,
        *,
        code: str,
        reason: str = "",
        log: Callable[..., object] | None = None,
        **more: object,
    ) -> None:
        """Log and count a call that is over."""
        seconds = time.perf_counter() - started
        told = more | ({"reason": reason} if reason else {})
        (log or self._log.info)("call", method=method, code=code, duration_ms=round(seconds * 1000, 2), **told)
        self._count(method, code, reason, seconds)


def _shape(error: BaseException) -> str:
    """Name the type of an unforeseen error and where it was raised; its text may hold what nobody should see."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__module__}.{type(error).__qualname__} in {where}"
