"""What a gateway is told, as values; `gateway.config.reading` makes them of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from gateway.rules.masking import MaskRules
from gateway.rules.retention import RetentionRules
from gateway.rules.roles import Role
from ledger.appends.publishing import SignAfter, Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where and how the gateway listens."""

    listen: str
    workers: int
    trust_domain: str
    plaintext: bool
    certificate_file: Path
    key_file: Path
    client_authority_file: Path
    client_revocation_file: Path | None
    """Revocation lists of the client authority; None: nobody's certificate is revoked."""
    reflection: bool
    max_message_bytes: int
    max_image_bytes: int
    deadline_cap: timedelta
    gather: timedelta
    cap_missing_deadline: bool
    drain: timedelta
    ledger_reserve: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Settings:
    """The HSM whose key wraps the master keys."""

    module: Path
    token: str
    key_label: str
    pin_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """Which authority stamps checkpoints with its time, and how often."""

    tsa_url: str
    tsa_root_file: Path
    tsa_policy: str
    every: timedelta
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger lives and which keys it uses."""

    url: str
    origin: str
    signing_key_file: Path
    cosigner_key_files: tuple[Path, ...]
    next_signing_key_file: Path
    key_history_file: Path
    seen_checkpoint_file: Path
    seen_every: timedelta
    ask_published: tuple[str, ...]
    master_keys_file: Path
    pkcs11: Pkcs11Settings | None
    """None: the master keys stand in their file as they are."""
    index_key_file: Path
    queue: int
    owner_socket: Path
    """Where the owner of an SQLite ledger listens for the other workers."""
    signing: Signing
    sign_after: SignAfter
    standbys: tuple[str, ...]
    """The standby servers of which one must confirm, by their `application_name`; empty: any."""
    publish_every: timedelta
    witness_policy_file: Path | None
    witness_timeout: timedelta
    index_every: timedelta | None
    """How often an entry commits to the index of records; None: never."""
    anchors: AnchorSettings | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where something is served over HTTP; port 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSettings:
    """How many different claims about one fact of one person may prove wrong within a time, whoever asks."""

    guess_budget: int
    guess_window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLimitSettings:
    """How many calls of one caller may be under way, and how many it may make a second, in each process."""

    calls: int
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What one caller may ask for, and how much a batch may carry and do at once."""

    default: CallerLimitSettings
    by_caller: Mapping[str, CallerLimitSettings]
    batch_items: int
    batch_in_flight: int
    batch_source_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingSettings:
    """When the sources are asked again about commitments, and how many in one round."""

    every: timedelta
    """How long a round is."""
    intervals: tuple[timedelta, ...]
    """The waits before the first, second, … asking; the last one goes on."""
    pause: timedelta
    """The shortest wait between two askings about one commitment, whatever news its sources have."""
    most: int
    parallel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentSettings:
    """How long a verification carries a commitment, how long a document can be signed, by when a
    decision must come; which lists bar a person; when the sources are asked again; and what letters say.

    `contacts` say how a unit (a unified social credit code) can be reached; `letter_fonts` is a folder of further
    fonts, `letter_where` the address that letters name for looking a commitment up.
    """

    verification_valid: timedelta
    document_valid: timedelta
    template_files: tuple[Path, ...]
    contacts: Mapping[str, str]
    letter_fonts: Path | None
    letter_where: str
    decision_within: timedelta
    sweep_every: timedelta
    credit_fact: str
    """A fact type of the catalogue; empty: no credit platform is asked."""
    capacity_fact: str
    """A fact type of the catalogue; empty: age alone tells."""
    standing: StandingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistanceSettings:
    """How many working days a unit that is asked has, by the request's term; how often clocks are looked at."""

    simple_days: int
    normal_days: int
    archive_days: int
    every: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffKeySettings:
    """Which roles propose clerks' keys and which decide; each person still needs another for the other act."""

    proposers: frozenset[Role]
    deciders: frozenset[Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformKeySettings:
    """A key of a real-name platform: its id, its JWS algorithm and its file."""

    kid: str
    algorithm: str
    public_key_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """A real-name platform whose assertions count as signatures."""

    issuer: str
    audience: str
    leeway: timedelta
    longest_life: timedelta
    keys: tuple[PlatformKeySettings, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIssuerSettings:
    """The identity provider of a unit, whose assertions say who acts; whether its systems must show one."""

    unit: str
    required: bool
    issuer: PlatformSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampSettings:
    """Which authority stamps each signature with its time, and whether one without a stamp is taken."""

    tsa_url: str
    tsa_root_file: Path
    tsa_policy: str
    timeout: timedelta
    tolerance: timedelta
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """Whose signatures count: authorities of certificates, their revocations, witnessing clerks, platforms, time."""

    anchors_files: tuple[Path, ...]
    required_policies: tuple[str, ...]
    most_intermediates: int
    revocation: str
    revocation_folder: Path
    revocation_urls: tuple[str, ...]
    ocsp_url: str
    revocation_fresh: timedelta
    revocation_every: timedelta
    revocation_timeout: timedelta
    revocation_list_max_bytes: int
    kept_lists_folder: Path
    witness_tolerance: timedelta
    handwriting_max_bytes: int
    platforms: tuple[PlatformSettings, ...]
    timestamps: TimestampSettings | None
    """None: signatures are not time-stamped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSettings:
    """The periods that protect a person, and that before a repair; the example file has their legal sources."""

    defence_working_days: int
    remedy_days: int
    shortest_effects: Mapping[str, int]
    """For how many months after the decision a finding of a grade may not be repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """What a report says of us: the division of its code, and who determined it; and how often it is looked for what
    has effect no longer."""

    division: str
    authority_name: str
    authority_code: str
    expire_every: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """How much of names and numbers an export shows."""

    masking: MaskRules


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerSettings:
    """One who may propose, carry out or reject an erasure by order: staff number, name, and whose key signs."""

    number: str
    name: str
    public_key_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSettings:
    """Days that the published calendar gets wrong here, or does not know yet: laid over it, and all others stay."""

    holidays: tuple[date, ...]
    working_days: tuple[date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the gateway is told."""

    server: ServerSettings
    ledger: LedgerSettings
    publication: HttpSettings | None
    """Where the log is published, for anybody; None: not by the gateway."""
    metrics: HttpSettings | None
    """Where operators read what is counted; None: nothing is counted."""
    catalogue_files: tuple[Path, ...]
    verification: VerificationSettings
    limits: LimitSettings
    commitments: CommitmentSettings
    assistance: AssistanceSettings
    signatures: SignatureSettings
    staff_keys: StaffKeySettings
    findings: FindingSettings
    credit: CreditSettings
    exports: ExportSettings
    retention: RetentionRules
    erasure_officers: tuple[OfficerSettings, ...]
    calendar: CalendarSettings
    callers: Mapping[str, frozenset[Role]]
    operators: tuple[OperatorIssuerSettings, ...]
    sources: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A configuration as far as it can be read; a setting whose key is among the mistakes is a placeholder."""

    where: str
    settings: Settings
    mistakes: tuple[str, ...] = ()
