"""Kind `dropbox`: a folder into which a department drops files with manifests (文件交换).

A drop is taken over whole or not at all; while the newest is bad the one before it answers, as of its own date, and so
does it once the manifest of the newest is taken away. Without a good drop the source is UNAVAILABLE: an empty folder
says nothing of anybody.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from connectors.compare import bare, old_number
from connectors.connector import Claim, Health, Manifest, QueryContext
from connectors.coverage import Covered, covered, limited
from connectors.drop import (
    MANIFEST_SUFFIX,
    DropManifest,
    Snapshot,
    read_file,
    read_manifest,
    take,
    verify_signature,
)
from connectors.errors import DropRefused, SourceUnavailable
from connectors.keys import is_number
from connectors.outcome import NOT_COVERED, Cause, Evidence, Kind
from connectors.record import AHEAD, Reader, Shape, is_ahead, judge, read_shape, read_zone
from connectors.sources.sql import digest
from connectors.stanza import Stanza

_BATCH = 1000  # one look at the folder serves all of them
_log = structlog.get_logger(__name__)
_Listing = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest in the folder: its file's name, and when that was written."""

    name: str
    written: int
    manifest: DropManifest

    @property
    def rank(self) -> tuple[datetime, int, str]:
        """Of two drops the newer, of two of one date the one that was delivered later; whoever starts when."""
        return self.manifest.as_of, self.written, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFact:
    """How the rows of one fact type's drops are read: the columns they must have, and their shape.

    `other_numbers` says that rows may stand under numbers of other documents, by which nobody is asked about.
    """

    key: str
    columns: frozenset[str]
    shape: Shape
    other_numbers: bool

    def is_key(self, number: str) -> bool:
        """Say whether a row may stand under a bare number."""
        return is_number(number, old=self.shape.number is not None, others=self.other_numbers)


class Dropbox:
    """A folder of drops, looked at again when its listing changed or a drop's date has come, and the snapshots taken.

    Not for use from several threads at once; `look` is meant to be run by one at a time.
    """

    def __init__(
        self,
        folder: Path,
        facts: Mapping[str, DropFact],
        *,
        zone: ZoneInfo,
        public_key: Ed25519PublicKey | None,
        most_bytes: int,
        now: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._facts = facts
        self._zone = zone
        self._public_key = public_key
        self._most_bytes = most_bytes
        self._now = now
        self._listing: _Listing | None = None
        self._ahead: list[datetime] = []
        self._names: dict[str, str] = {}
        """By fact type: the manifest of the drop in use."""
        self.snapshots: Mapping[str, Snapshot] = {}
        self.problems: Mapping[str, str] = {}
        """What is wrong, by file name; for operators."""
        self.withdrawn: Sequence[str] = ()
        """The manifests in use that the last change of the folder took away; for operators."""

    def look(self) -> bool:
        """Take over what is new; say whether anything in the folder changed."""
        try:
            listing = tuple(sorted(_signature(path) for path in self._folder.iterdir()))
        except OSError as error:
            self.problems = {self._folder.name: f"the folder cannot be read ({type(error).__name__})"}
            self.withdrawn, self._listing = (), None
            return True
        now = self._now()
        if listing == self._listing and all(is_ahead(date, now) for date in self._ahead):
            return False
        problems: dict[str, str] = {}
        self._ahead = []
        found = self._manifests(listing, problems)
        there = {name for name, _, _, _ in listing}
        gone = [fact_type for fact_type in self.snapshots if self._names[fact_type] not in there]
        self.withdrawn = [self._names[fact_type] for fact_type in gone]
        snapshots = {fact_type: held for fact_type, held in self.snapshots.items() if fact_type not in gone}
        for ranked in found:
            snapshots |= self._newest(ranked, snapshots.get(ranked[0].manifest.fact_type), problems)
        self.snapshots = snapshots
        self.problems = problems
        self._listing = listing
        return True

    def _manifests(self, listing: _Listing, problems: dict[str, str]) -> list[list[_Found]]:
        """Read every manifest: those of each fact type, the one to be used first."""
        found: dict[str, list[_Found]] = defaultdict(list)
        for name, written, _, _ in listing:
            if not name.endswith(MANIFEST_SUFFIX):
                continue
            try:
                manifest = self._dated(self._manifest(self._folder / name))
                found[manifest.fact_type].append(_Found(name, written, manifest))
            except DropRefused as error:
                problems[name] = str(error)
        return [sorted(ones, key=lambda one: one.rank, reverse=True) for ones in found.values()]

    def _dated(self, manifest: DropManifest) -> DropManifest:
        """Refuse a drop of the future for as long as it is one: it would be the newest, and fresh, until then."""
        if is_ahead(manifest.as_of, self._now()):
            self._ahead.append(manifest.as_of)
            raise DropRefused(f"manifest: as_of is more than {AHEAD.seconds // 60} minutes in the future")
        return manifest

    def _manifest(self, path: Path) -> DropManifest:
        octets = read_file(path, "the manifest")
        if self._public_key is not None:
            signature = read_file(path.with_name(path.name + ".sig"), "the signature")
            verify_signature(octets, signature, self._public_key)
        manifest = read_manifest(octets, self._zone)
        fact = self._facts.get(manifest.fact_type)
        if fact is None:
            raise DropRefused("manifest: a fact type that is not configured")
        if missing := fact.columns - set(manifest.columns):
            raise DropRefused(f"manifest: column {', '.join(sorted(missing))} is missing")
        if manifest.key != fact.key:
            raise DropRefused("manifest: another key than configured")
        return manifest

    def _newest(
        self, ranked: Sequence[_Found], held: Snapshot | None, problems: dict[str, str]
    ) -> Mapping[str, Snapshot]:
        """Go from the newest drop of a fact type to older ones until one is good, or is the one in use."""
        fact_type = ranked[0].manifest.fact_type
        if held is not None and self._is_taken_back(held, ranked, problems):
            held = None
        for one in ranked:
            if held is not None and one.manifest.as_of < held.manifest.as_of:
                break
            taken = held if held is not None and one.manifest == held.manifest else self._take(one, problems)
            if taken is not None:
                held, self._names[fact_type] = taken, one.name
                break
        for one in ranked:
            if held is not None and one.manifest.as_of == held.manifest.as_of and one.manifest != held.manifest:
                problems.setdefault(one.name, "another drop of the same date is in use")
        return {} if held is None else {fact_type: held}

    def _is_taken_back(self, held: Snapshot, ranked: Sequence[_Found], problems: dict[str, str]) -> bool:
        """Say whether a good drop of an earlier date came in the place of the one in use, under its very name."""
        if any(one.manifest == held.manifest for one in ranked):
            return False
        instead = [one for one in ranked if one.name == self._names.get(held.manifest.fact_type)]
        return any(
            one.manifest.as_of < held.manifest.as_of and self._take(one, problems) is not None for one in instead
        )

    def _take(self, one: _Found, problems: dict[str, str]) -> Snapshot | None:
        is_key = self._facts[one.manifest.fact_type].is_key
        try:
            return take(self._folder, one.manifest, most_bytes=self._most_bytes, is_key=is_key)
        except DropRefused as error:
            problems[one.name] = str(error)
            return None


def _signature(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (path.name, 0, 0, 0)
    return (path.name, found.st_mtime_ns, found.st_size, found.st_ino)


class DropboxSource:
    """A folder of drops as a source."""

    def __init__(
        self, *, manifest: Manifest, facts: Mapping[str, DropFact], dropbox: Dropbox, now: Callable[[], datetime]
    ) -> None:
        self._manifest = manifest
        self._facts = facts
        self._dropbox = dropbox
        self._declaring = dropbox.snapshots
        self._now = now
        self._one_looks = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"dropbox-{manifest.source}")

    @property
    def manifest(self) -> Manifest:
        """What the stanza declares, with the coverage that the drops in use declare."""
        # Read off the drops themselves: a look may end when nobody waits for it any more.
        drops = self._dropbox.snapshots
        if drops is not self._declaring:
            coverage = {name: one.manifest.coverage for name, one in drops.items() if one.manifest.coverage is not None}
            self._declaring, self._manifest = drops, replace(self._manifest, coverage=coverage)
        return self._manifest

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim from the newest good drop of its fact type.

        Raises:
            SourceUnavailable: no good drop of one of the fact types has come yet.
        """
        asked_at = self._now()
        await self._look()
        snapshots = self._dropbox.snapshots
        for claim in claims:
            if claim.fact_type not in snapshots:
                raise SourceUnavailable(self._manifest.source, Cause.OUTAGE, f"no drop of {claim.fact_type} yet")
        return [self._evidence(claim, snapshots[claim.fact_type], asked_at) for claim in claims]

    def _evidence(self, claim: Claim, snapshot: Snapshot, asked_at: datetime) -> Evidence:
        answered_at, coverage = self._now(), snapshot.manifest.coverage
        extent = covered(claim, coverage)
        if extent is Covered.NOT:
            return Evidence(
                source=self._manifest.source,
                fact_type=claim.fact_type,
                outcome=NOT_COVERED,
                asked_at=asked_at,
                answered_at=answered_at,
                attempts=0,
            )
        shape, number = self._facts[claim.fact_type].shape, bare(claim.subject.id_number)
        old = old_number(number) if shape.number is not None else ""
        records = snapshot.records(number, *filter(None, [old]))
        outcome, as_of = judge(claim, records, shape, now=answered_at, as_of=snapshot.manifest.as_of)
        return Evidence(
            source=self._manifest.source,
            fact_type=claim.fact_type,
            outcome=limited(outcome, extent),
            asked_at=asked_at,
            answered_at=answered_at,
            as_of=as_of,
            raw_digest=digest(records),
            undeclared=coverage is None and outcome.kind is Kind.NO_RECORD,
        )

    async def _look(self) -> None:
        async with self._one_looks:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._look_and_tell)

    def _look_and_tell(self) -> None:
        if self._dropbox.look():
            for name, problem in self._dropbox.problems.items():
                _log.warning("drop refused", source=self._manifest.source, file=name, problem=problem)
            for name in self._dropbox.withdrawn:
                _log.warning("drop withdrawn", source=self._manifest.source, file=name)

    async def probe(self) -> Health:
        """Look at the folder: well when every fact type has a drop and no drop in the folder is bad."""
        await self._look()
        missing = sorted(self._manifest.fact_types - set(self._dropbox.snapshots))
        found = [f"{name}: no drop yet" for name in missing]
        found += [f"{name}: {problem}" for name, problem in sorted(self._dropbox.problems.items())]
        withdrawn = [f"{name}: withdrawn" for name in self._dropbox.withdrawn]
        return Health(
            ok=not found,
            detail="; ".join([*(found or ["every drop is good"]), *withdrawn]),
            probed_at=self._now(),
            newest={name: one.manifest.as_of for name, one in self._dropbox.snapshots.items()},
        )

    async def aclose(self) -> None:
        """Forget the snapshots; a look that a folder holds up ends when the folder lets it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._dropbox.snapshots = {}


def connect(name: str, stanza: Mapping[str, object], *, now: Callable[[], datetime]) -> DropboxSource:
    """Make a `dropbox` source of its stanza (`connectors/README.md` shows one); the folder is read on first use.

    Raises:
        StanzaError: the stanza is wrong; every mistake is listed.
    """
    root = Stanza(name, stanza)
    department, folder = root.text("department"), Path(root.text("folder"))
    freshness, zone = root.optional_duration("freshness"), read_zone(root)
    most_bytes = root.number("most_bytes", 512 * 1024 * 1024, least=1)
    public_key = _read_public_key(root)
    facts: dict[str, DropFact] = {}
    sensitive: set[str] = set()
    for fact_type, part in root.tables("facts").items():
        if part.flag("sensitive", False):
            sensitive.add(fact_type)
        facts[fact_type] = _read_fact(part, zone, freshness)
    root.finish()
    manifest = Manifest(
        source=name,
        department=department,
        fact_types=frozenset(facts),
        declared={fact_type: fact.shape.declared() for fact_type, fact in facts.items()},
        freshness=freshness,
        sensitive=frozenset(sensitive),
        batch=_BATCH,
        lanes=1,
        moving_coverage=True,
    )
    dropbox = Dropbox(folder, facts, zone=zone, public_key=public_key, most_bytes=most_bytes, now=now)
    return DropboxSource(manifest=manifest, facts=facts, dropbox=dropbox, now=now)


def _read_public_key(root: Stanza) -> Ed25519PublicKey | None:
    written = root.secret("public_key_file")
    if "public_key_file" not in root:
        return None
    key: object = None
    with suppress(ValueError, UnsupportedAlgorithm):
        key = load_pem_public_key(written.encode())
    if not isinstance(key, Ed25519PublicKey):
        root.mistake("public_key_file", "holds no Ed25519 public key in PEM")
        return None
    return key


def _read_fact(part: Stanza, zone: ZoneInfo, freshness: timedelta | None) -> DropFact:
    columns: set[str] = set()

    def column(_stanza: Stanza, _key: str, spec: str) -> Reader:
        columns.add(spec)
        return itemgetter(spec)

    key = part.text("key")
    columns.add(key)
    shape = read_shape(
        part, field_reader=column, attributes="columns", zone=zone, freshness=freshness, number=itemgetter(key)
    )
    return DropFact(key=key, columns=frozenset(columns), shape=shape, other_numbers=part.flag("other_numbers", False))
