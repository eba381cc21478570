"""A running gateway, or one part of it: opens everything, serves, and closes everything in order."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial

import structlog

from gateway.bootstrap.chores import Chore, Chores
from gateway.bootstrap.commitments import commitment_chores
from gateway.bootstrap.examining import examine
from gateway.bootstrap.flows import Flows, build_flows
from gateway.bootstrap.interpreter import prepare_interpreter, settle, tidying
from gateway.bootstrap.ledger import join_ledger, key_history, open_authority, open_ledger, owning_ledger, waited_for
from gateway.bootstrap.opening import calendar_notice, now_utc
from gateway.bootstrap.services import services
from gateway.bootstrap.tls import TlsWatch
from gateway.config import (
    AssistanceSettings,
    CreditSettings,
    Draft,
    LedgerSettings,
    Settings,
)
from gateway.errors import CatalogueRefused, GatewayError
from gateway.flows.administration.reload import Reload, enactment
from gateway.flows.assistance.chase import Chase
from gateway.flows.audit.expire import Expire
from gateway.metrics import Metrics
from gateway.rpc.certificates import CallerCertificates, Tls
from gateway.rpc.server import GrpcServer, Service, require_free
from gateway.rules.clocks import legal_day
from ledger import (
    Ledger,
    Submission,
)
from ledger.anchors.register import AnchorRegister
from ledger.connections import FEW_DESCRIPTORS, raise_descriptor_limit
from ledger.errors import LedgerDamaged, LedgerError
from ledger.keyring.published import format_key_history

_log = structlog.get_logger()
_ENDING = (signal.SIGTERM, signal.SIGINT)
_ANCHOR_RETRY = timedelta(minutes=1)
_SLOW = 5.0
"""Seconds after which a gateway that is not ready says why."""
_INDEX_RETRY = timedelta(minutes=1)


class Part(enum.Enum):
    """What one process of a gateway does."""

    ALONE = "alone"
    """Everything."""
    OWNER = "owner"
    """Writes the SQLite ledger for the others; answers no calls."""
    FIRST = "first"
    """Answers calls, and does what is done once: publishing over HTTP, and what is done by the clock."""
    FURTHER = "further"
    """Answers calls."""


class Gateway:
    """A running gateway: opens everything, serves, and closes everything in order."""

    def __init__(
        self, settings: Settings, *, part: Part = Part.ALONE, now: Callable[[], datetime] = now_utc
    ) -> None:  # fmt: skip
        self._settings = settings
        self._part = part
        self._now = now
        self._parent = os.getppid()
        self._reload: Reload | None = None
        self._reloading: set[asyncio.Task[None]] = set()
        self._tls: TlsWatch | None = None

    def reload(self) -> None:
        """Reload the catalogue and the files of TLS in the background (the answer to SIGHUP); what comes of it is
        logged."""
        if self._reload is None:
            _log.error("catalogue not reloaded", reason="NOT_SERVING")
            return
        self._begin(_reload_and_log(self._reload))
        if self._tls is not None:
            self._begin(asyncio.to_thread(self._tls.read))

    def _begin(self, reloading: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(reloading)
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def serve(self, ready: Callable[[int], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set; `ready` is told the port.

        Raises:
            ConfigurationError: settings, catalogue or sources are wrong; every mistake is named.
            ledger.LedgerError: the ledger is not as it must be; nothing is served, or nothing more.
        """
        settings = self._settings
        if self._part is Part.ALONE:
            # Before anything is recorded: a gateway that cannot answer must leave nothing in the log.
            await require_free(settings.server.listen)
        metrics = None if settings.metrics is None else Metrics()
        sound = examine(Draft(where="configuration", settings=settings), now=self._now, metrics=metrics)
        catalogue, sources = sound.catalogue, sound.sources
        if notice := calendar_notice(settings.calendar, today=legal_day(self._now())):
            _log.warning("calendar not announced", advice=notice)
        try:
            with self._open_ledger() as ledger:
                # Whatever a process puts in force is recorded first, by each process for itself: a part that is started
                # again may find other files than the parts that went on.
                at = self._now()
                with _told_if_slow(settings.ledger):
                    await ledger.append(
                        Submission(drafts=(enactment(catalogue, None, at=at, entropy=os.urandom),), at=at)
                    )
                flows = build_flows(
                    settings, ledger=ledger, index=sound.index, catalogue=catalogue, sources=sources, now=self._now,
                    reloaded=self._tell_the_other_parts, metrics=metrics,
                )  # fmt: skip
                self._reload = flows.reload
                tls = sound.tls
                certificates = None if tls is None else CallerCertificates(tls, now=self._now)
                served = services(settings, flows, ledger, now=self._now, metrics=metrics, certificates=certificates)
                server = self._server(served, tls)
                if tls is not None and certificates is not None:
                    self._tls = TlsWatch(
                        settings.server, tls, (server.renew, certificates.renew), now=self._now
                    )  # fmt: skip
                with closing(flows.signatures):
                    async with self._done_once(ledger, flows, stop, metrics):
                        await self._serve(server, ready, stop, flows.stopping)
                        ledger.hurry()
                self._reload = self._tls = None
                await asyncio.gather(*self._reloading)
            if ledger.damage is not None:  # what committed last may have found it
                raise ledger.damage
        finally:
            self._reload = self._tls = None
            for connector in sources.values():
                await connector.aclose()

    @asynccontextmanager
    async def _done_once(
        self, ledger: Ledger, flows: Flows, stop: asyncio.Event, metrics: Metrics | None
    ) -> AsyncIterator[None]:  # fmt: skip
        """Beside serving, do what is done by the clock; and, in one process of a gateway, what is done once for all."""
        if self._part is Part.FURTHER:
            listed = [remember_chore(self._settings.ledger, ledger), tidying(), *self._watching()]
            async with Chores(listed, stop) as chores:
                _stop_for_damage(ledger, chores)
                yield
            return
        listed = [*open_chores(self._settings.ledger, ledger, now=self._now), tidying(), *self._watching()]
        listed += commitment_chores(self._settings.commitments, flows.commitments)
        listed.append(_chasing(self._settings.assistance, flows.chase))
        listed.append(_expiring(self._settings.credit, flows.expire))
        async with (
            publishing(self._settings, ledger),
            metering(self._settings, metrics),
            Chores(listed, stop) as chores,
        ):
            _stop_for_damage(ledger, chores)
            yield

    def _watching(self) -> list[Chore]:
        """Look now and then whether the files of TLS changed, as each process does for itself."""
        return [] if self._tls is None else [self._tls.chore()]

    def _tell_the_other_parts(self) -> None:
        """A call reaches one part; the parent passes SIGHUP on to all, and who has the version already keeps it."""
        if self._part is not Part.ALONE and os.getppid() == self._parent:  # not the one that adopts orphans
            os.kill(self._parent, signal.SIGHUP)

    def _open_ledger(self) -> Ledger:
        settings = self._settings.ledger
        if self._part is not Part.ALONE and settings.url.startswith("sqlite"):
            return join_ledger(settings)
        return open_ledger(settings, now=self._now)

    def _server(self, served: list[Service], tls: Tls | None) -> GrpcServer:
        return GrpcServer(
            served,
            address=self._settings.server.listen,
            tls=tls,
            max_message_bytes=self._settings.server.max_message_bytes,
            max_beside_bytes=self._settings.server.max_image_bytes,
            reflect=self._settings.server.reflection,
            shared=self._part is not Part.ALONE,
        )

    async def _serve(
        self, server: GrpcServer, ready: Callable[[int], None], stop: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        await server.start()
        settle()
        _log.info("serving", address=self._settings.server.listen, pid=os.getpid())
        ready(server.port)
        await stop.wait()
        _log.info("draining")
        stopping.set()
        await server.stop(self._settings.server.drain.total_seconds())
        _log.info("stopped")


def run(settings: Settings, ready: Callable[[int], None], part: Part = Part.ALONE) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where there is one; SIGHUP reloads the catalogue and files of TLS."""
    prepare_interpreter()
    descriptors = raise_descriptor_limit()
    if descriptors < FEW_DESCRIPTORS:
        _log.warning("few file descriptors: raise the limit (ulimit -n, LimitNOFILE)", count=descriptors)
    if part is Part.OWNER:
        _own(settings.ledger, ready)
        return

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        gateway = Gateway(settings, part=part)
        loop.add_signal_handler(signal.SIGHUP, gateway.reload)

        def serving(port: int) -> None:
            for sign in _ENDING:
                loop.add_signal_handler(sign, stop.set)
            ready(port)

        await gateway.serve(serving, stop)

    # The loop does not run while the ledger is opened, so nothing of it would hear a signal: until the gateway serves,
    # there is nothing to drain, and the process ends at once.
    for sign in _ENDING:
        signal.signal(sign, _end)

    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _own(settings: LedgerSettings, ready: Callable[[int], None]) -> None:
    with owning_ledger(settings) as owner:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: owner.stop())
        _log.info("owning", pid=os.getpid())
        ready(0)
        owner.watch(lambda _damage: owner.stop())
        owner.serve()


def remember_chore(settings: LedgerSettings, ledger: Ledger) -> Chore:
    """Remember the newest checkpoint by the clock, as each process does: each knows best what it signed itself."""
    every = settings.seen_every
    return Chore(name="remember", act=ledger.remember, every=every, first=every, retry=every, at_close=True)


def open_chores(settings: LedgerSettings, ledger: Ledger, *, now: Callable[[], datetime]) -> list[Chore]:
    """List what is done by the clock: remembering the newest checkpoint, committing to the index, anchoring."""
    chores = [remember_chore(settings, ledger)]
    period = settings.index_every
    if period is not None:

        def index() -> None:
            # Several processes share a ledger and each has this chore: one commitment a period is enough.
            ledger.commit_index(now(), not_within=period)

        retry = min(period, _INDEX_RETRY)
        chores.append(Chore(name="index", act=index, every=period, first=retry, retry=retry))
    anchors = settings.anchors
    if anchors is not None:
        authority = open_authority(anchors)

        def anchor() -> None:
            with AnchorRegister.open(settings.url) as register:
                register.anchor(authority)

        retry = min(anchors.every, _ANCHOR_RETRY)
        chores.append(Chore(name="anchor", act=anchor, every=anchors.every, first=timedelta(0), retry=retry))
    return chores


@asynccontextmanager
async def publishing(settings: Settings, ledger: Ledger) -> AsyncIterator[int | None]:
    """Publish the log over HTTP where the settings say so, until the block ends; give the port.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    where = settings.publication
    if where is None:
        yield None
        return
    from gateway.console.log import log_application
    from gateway.console.server import http_server

    # Read once: while a gateway runs, its keys are what they were when it was started.
    history = format_key_history(key_history(settings.ledger))
    application = log_application(ledger.publication(), ledger.read, key_history=history)
    drain = settings.server.drain.total_seconds()
    async with http_server(application, host=where.host, port=where.port, drain=drain) as port:
        _log.info("publishing", address=f"{where.host}:{port}")
        yield port


@asynccontextmanager
async def metering(settings: Settings, metrics: Metrics | None) -> AsyncIterator[int | None]:
    """Serve what is counted over HTTP where the settings say so, until the block ends; give the port.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    where = settings.metrics
    if where is None or metrics is None:
        yield None
        return
    from gateway.console.metrics import metrics_application
    from gateway.console.server import http_server

    drain = settings.server.drain.total_seconds()
    async with http_server(metrics_application(metrics.render), host=where.host, port=where.port, drain=drain) as port:
        _log.info("metering", address=f"{where.host}:{port}")
        yield port


def _stop_for_damage(ledger: Ledger, chores: Chores) -> None:
    loop = asyncio.get_running_loop()

    def tell(damage: LedgerDamaged) -> None:
        loop.call_soon_threadsafe(chores.stop_for, damage)

    ledger.watch(tell)


def _chasing(settings: AssistanceSettings, chase: Chase) -> Chore:
    """Look at the clocks of those who were asked for assistance."""

    async def look() -> None:
        await chase()

    return Chore(name="assistance-clocks", act=look, every=settings.every, first=settings.every, retry=settings.every)


def _expiring(settings: CreditSettings, expire: Expire) -> Chore:
    """End what has effect no longer."""

    async def end() -> None:
        await expire()

    every = settings.expire_every
    return Chore(name="credit-expiry", act=end, every=every, first=every, retry=every)


@contextmanager
def _told_if_slow(settings: LedgerSettings) -> Iterator[None]:
    """Say in the log why the gateway is not ready, where its first entry is long in being published."""
    reason = f"nothing is published before {waited_for(settings)}"
    late = asyncio.get_running_loop().call_later(_SLOW, partial(_log.warning, "not ready yet", reason=reason))
    try:
        yield
    finally:
        late.cancel()


async def _reload_and_log(reload: Reload) -> None:
    try:
        reloaded = await reload(None)
    except CatalogueRefused as refused:
        for mistake in refused.mistakes:
            _log.error("catalogue mistake", error=mistake)
        _log.error("catalogue not reloaded", reason=refused.reason, count=len(refused.mistakes))
    except (GatewayError, LedgerError) as error:
        _log.error("catalogue not reloaded", reason=type(error).__name__)
    else:
        changed = reloaded.recorded is not None
        _log.info(
            "catalogue reloaded" if changed else "catalogue unchanged",
            version=reloaded.version,
            count=len(reloaded.changes),
        )
