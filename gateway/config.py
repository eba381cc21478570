"""`gateway.toml`, read strictly: unknown keys refused, every mistake told at once, secrets only as files.

A relative path is relative to the file that names it. `chengxin init` writes a complete, commented example.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from connectors.errors import StanzaError
from connectors.stanza import Stanza, duration
from gateway.errors import ConfigurationError
from gateway.rules.masking import MaskRule, MaskRules, read_rule
from gateway.rules.retention import Periods, RetentionRules
from gateway.rules.roles import Role, unit_of
from ledger.appends.publishing import SignAfter, Signing

_HIGHEST_PORT = 65_535
_OBJECT_IDENTIFIER = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,30})){1,20}")


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
    kept_lists_folder: Path
    witness_tolerance: timedelta
    handwriting_max_bytes: int
    platforms: tuple[PlatformSettings, ...]
    timestamps: TimestampSettings | None
    """None: signatures are not time-stamped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSettings:
    """The periods that protect a person; their legal sources stand beside them in the example file."""

    defence_working_days: int
    remedy_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """What a report says of us: the division of its code, and who determined it."""

    division: str
    authority_name: str
    authority_code: str


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
    """Days that the published calendar gets wrong here, or does not know yet."""

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
    signatures: SignatureSettings
    staff_keys: StaffKeySettings
    findings: FindingSettings
    credit: CreditSettings
    exports: ExportSettings
    retention: RetentionRules
    erasure_officers: tuple[OfficerSettings, ...]
    calendar: CalendarSettings
    callers: Mapping[str, frozenset[Role]]
    sources: Mapping[str, Mapping[str, object]]


def load_settings(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        ConfigurationError: names every mistake.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(str(path), ["there is no such file (`chengxin init` writes one)"]) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    return read_settings(table, home=path.parent.resolve(), where=str(path))


def read_settings(table: Mapping[str, object], *, home: Path, where: str) -> Settings:
    """Read settings from a parsed table; relative paths are relative to `home`.

    Raises:
        ConfigurationError: names every mistake.
    """
    root = Stanza(where, _with_anchors_moved(table))
    server = _server(root.table("server"), home)
    callers = _callers(root.listed("callers"), server.trust_domain, root)
    settings = Settings(
        server=server,
        ledger=_ledger(root.table("ledger"), home),
        publication=_http(root.table("publication")),
        metrics=_http(root.table("metrics")),
        catalogue_files=tuple(home / name for name in root.table("catalogue").texts("files")),
        verification=_verification(root.table("verification")),
        limits=_limits(root.table("limits"), callers),
        commitments=_commitments(root.table("commitments"), home),
        staff_keys=_staff_keys(root.table("staff_keys")),
        signatures=_signatures(root.table("signatures"), home),
        findings=_findings(root.table("findings")),
        credit=_credit(root.table("credit")),
        exports=_exports(root.table("exports")),
        retention=_retention(root.table("retention")),
        erasure_officers=tuple(_officer(one, home) for one in root.table("erasure").listed("officers")),
        calendar=_calendar(root.table("calendar")),
        callers=callers,
        sources=_sources(root),
    )
    try:
        root.finish()
    except StanzaError as error:
        raise ConfigurationError(where, error.mistakes) from error
    return settings


def _with_anchors_moved(table: Mapping[str, object]) -> Mapping[str, object]:
    """Read `commitments.anchors_file`, where the anchors stood before `[signatures]` was, as `anchors_files` there."""
    old, new = table.get("commitments"), table.get("signatures", {})
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or "anchors_file" not in old:
        return table
    rest = {key: value for key, value in old.items() if key != "anchors_file"}
    return {**table, "commitments": rest, "signatures": {"anchors_files": [old["anchors_file"]], **new}}


def _server(part: Stanza, home: Path) -> ServerSettings:
    plaintext = part.flag("plaintext", False)
    files = {
        key: part.text(key, "" if plaintext else None)
        for key in ("certificate_file", "key_file", "client_authority_file")
    }
    return ServerSettings(
        listen=part.text("listen", "127.0.0.1:8443"),
        workers=part.number("workers", 1, least=1, most=256),
        trust_domain=part.text("trust_domain"),
        plaintext=plaintext,
        certificate_file=home / files["certificate_file"],
        key_file=home / files["key_file"],
        client_authority_file=home / files["client_authority_file"],
        reflection=part.flag("reflection", False),
        max_message_bytes=part.number("max_message_bytes", 1 << 20, least=1024, most=1 << 26),
        max_image_bytes=part.number("max_image_bytes", 8 << 20, least=0, most=1 << 26),
        deadline_cap=part.duration("deadline_cap", "10s"),
        gather=part.duration("gather", "10ms"),
        cap_missing_deadline=part.choice("missing_deadline", ("refuse", "cap"), "refuse") == "cap",
        drain=part.duration("drain", "10s"),
        ledger_reserve=part.duration("ledger_reserve", "500ms"),
    )


def _ledger(part: Stanza, home: Path) -> LedgerSettings:
    url = part.text("url")
    signing = home / part.text("signing_key_file")
    return LedgerSettings(
        url=_database_url(url, home),
        origin=part.text("origin"),
        signing_key_file=signing,
        cosigner_key_files=tuple(home / name for name in part.texts("cosigner_key_files")),
        next_signing_key_file=_beside(part, "next_signing_key_file", home, signing.with_name("log.next.key")),
        key_history_file=_beside(part, "key_history_file", home, signing.with_name("log.history")),
        seen_checkpoint_file=_beside(part, "seen_checkpoint_file", home, signing.with_name("checkpoint.seen")),
        seen_every=part.duration("seen_every", "10s"),
        ask_published=tuple(_address(one, home) for one in part.texts("ask_published")),
        master_keys_file=home / part.text("master_keys_file"),
        pkcs11=_pkcs11(part, home),
        index_key_file=home / part.text("index_key_file"),
        queue=part.number("queue", 4096, least=1, most=1 << 20),
        owner_socket=_beside(part, "owner_socket", home, home / "owner.sock"),
        signing=Signing(part.choice("signing", tuple(one.value for one in Signing), "inline")),
        sign_after=_sign_after(part, url),
        publish_every=part.duration("publish_every", "1s"),
        witness_policy_file=home / part.text("witness_policy_file") if "witness_policy_file" in part else None,
        witness_timeout=part.duration("witness_timeout", "10s"),
        index_every=_switched_duration(part, "index_every", "1h"),
        anchors=_anchors(part.table("anchors"), home) if "anchors" in part else None,
    )


def _sign_after(part: Stanza, url: str) -> SignAfter:
    chosen = SignAfter(part.choice("sign_after", tuple(one.value for one in SignAfter), "local"))
    if chosen is not SignAfter.LOCAL and part.choice("signing", ("inline", "interval"), "inline") == "inline":
        part.mistake("sign_after", 'needs signing = "interval": with "inline", signing is part of the commit')
    if chosen is SignAfter.STANDBY and url.startswith("sqlite"):
        part.mistake("sign_after", "an SQLite ledger has no standby")
    if chosen is SignAfter.WITNESS and "witness_policy_file" not in part:
        part.mistake("sign_after", "needs a witness_policy_file")
    return chosen


def _switched_duration(part: Stanza, key: str, default: str) -> timedelta | None:
    """Read a duration, or `"0"` for never."""
    text = part.text(key, default)
    try:
        return None if text == "0" else duration(text) or None
    except ValueError:
        part.mistake(key, 'must be a duration such as "1h", or "0" for never')
        return None


def _beside(part: Stanza, key: str, home: Path, default: Path) -> Path:
    name = part.text(key, str(default))
    return home / name


def _address(text: str, home: Path) -> str:
    return text if text.startswith(("http://", "https://")) else str(home / text)


def _anchors(part: Stanza, home: Path) -> AnchorSettings:
    return AnchorSettings(
        tsa_url=part.text("tsa_url"),
        tsa_root_file=home / part.text("tsa_root_file"),
        tsa_policy=part.text("tsa_policy", ""),
        every=part.duration("every", "1h"),
        timeout=part.duration("timeout", "10s"),
    )


def _pkcs11(part: Stanza, home: Path) -> Pkcs11Settings | None:
    keys = ("pkcs11_module", "pkcs11_token", "pkcs11_key_label", "pkcs11_pin_file")
    if part.choice("master_keys", ("file", "pkcs11"), "file") == "file":
        for key in keys:
            if key in part:
                part.text(key, "")
                part.mistake(key, 'goes with master_keys = "pkcs11" only')
        return None
    module, token, label, pin_file = (part.text(key) for key in keys)
    return Pkcs11Settings(module=home / module, token=token, key_label=label, pin_file=home / pin_file)


def _http(part: Stanza) -> HttpSettings | None:
    listen = part.anything("listen")
    if listen is None or listen == "":
        return None
    host, _, port = listen.rpartition(":") if isinstance(listen, str) else ("", "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > _HIGHEST_PORT:
        part.mistake("listen", 'must be an address and a port such as "127.0.0.1:8480", or empty')
        return None
    return HttpSettings(host=host, port=int(port))


def _database_url(url: str, home: Path) -> str:
    """Make the path of an SQLite URL absolute: `sqlite:///ledger.sqlite3` is beside the configuration file."""
    scheme, separator, path = url.partition(":///")
    if scheme == "sqlite" and separator:
        return f"sqlite:///{home / path}"
    return url


def _verification(part: Stanza) -> VerificationSettings:
    return VerificationSettings(
        guess_budget=part.number("guess_budget", 5, least=1, most=100),
        guess_window=part.duration("guess_window", "1d"),
    )


def _limits(part: Stanza, callers: Mapping[str, object]) -> LimitSettings:
    default = _caller_limits(part, CallerLimitSettings(calls=1024, rate=10_000))
    by_caller: dict[str, CallerLimitSettings] = {}
    for own in part.listed("callers"):
        uri = own.text("id")
        if uri and uri not in callers:
            own.mistake("id", "is not one of the callers")
        if uri in by_caller:
            own.mistake("id", "is given twice")
        by_caller[uri] = _caller_limits(own, default)
    return LimitSettings(
        default=default,
        by_caller=by_caller,
        batch_items=part.number("batch_items", 1000, least=1, most=100_000),
        batch_in_flight=part.number("batch_in_flight", 512, least=1, most=100_000),
        batch_source_calls=part.number("batch_source_calls", 48, least=1, most=10_000),
    )


def _caller_limits(part: Stanza, default: CallerLimitSettings) -> CallerLimitSettings:
    return CallerLimitSettings(
        calls=part.number("concurrent_calls", default.calls, least=1, most=1_000_000),
        rate=part.number("calls_per_second", default.rate, least=1, most=1_000_000),
    )


def _commitments(part: Stanza, home: Path) -> CommitmentSettings:
    return CommitmentSettings(
        verification_valid=part.duration("verification_valid", "1d"),
        document_valid=part.duration("document_valid", "30m"),
        template_files=tuple(home / name for name in part.texts("template_files")),
        contacts=part.mapping("contacts"),
        letter_fonts=home / part.text("letter_fonts") if "letter_fonts" in part else None,
        letter_where=part.text("letter_where", ""),
        decision_within=part.duration("decision_within", "90d"),
        sweep_every=part.duration("sweep_every", "1m"),
        credit_fact=_text_or_nothing(part, "credit_fact"),
        capacity_fact=_text_or_nothing(part, "capacity_fact"),
        standing=_standing(part.table("standing")),
    )


def _signatures(part: Stanza, home: Path) -> SignatureSettings:
    return SignatureSettings(
        anchors_files=tuple(home / name for name in part.texts("anchors_files", None)),
        required_policies=_object_identifiers(part, "required_policies"),
        most_intermediates=part.number("most_intermediates", 3, most=4),
        revocation=part.choice("revocation", ("require", "if-available", "off"), "off"),
        revocation_folder=home / part.text("revocation_folder", "signers/revocation"),
        revocation_urls=part.texts("revocation_urls"),
        ocsp_url=part.text("ocsp_url", ""),
        revocation_fresh=part.duration("revocation_fresh", "7d"),
        revocation_every=part.duration("revocation_every", "10m"),
        revocation_timeout=part.duration("revocation_timeout", "5s"),
        kept_lists_folder=home / part.text("kept_lists_folder", "signers/kept"),
        witness_tolerance=part.duration("witness_tolerance", "15m"),
        handwriting_max_bytes=part.number("handwriting_max_bytes", 256 << 10, least=1024, most=1 << 20),
        platforms=_platforms(part.listed("platforms"), home),
        timestamps=_timestamps(part.table("timestamps"), home) if "timestamps" in part else None,
    )


def _object_identifiers(part: Stanza, key: str) -> tuple[str, ...]:
    named = part.texts(key)
    for one in named:
        if not _OBJECT_IDENTIFIER.fullmatch(one):
            part.mistake(key, f"{one!r} is not an object identifier such as 1.2.3.4")
    return named


def _platforms(parts: list[Stanza], home: Path) -> tuple[PlatformSettings, ...]:
    found: list[PlatformSettings] = []
    for part in parts:
        issuer = part.text("issuer")
        if issuer and issuer in [one.issuer for one in found]:
            part.mistake("issuer", "is given twice")
        found.append(
            PlatformSettings(
                issuer=issuer,
                audience=part.text("audience"),
                leeway=part.duration("leeway", "60s"),
                longest_life=part.duration("longest_life", "15m"),
                keys=_platform_keys(part, home),
            )
        )
    return tuple(found)


def _platform_keys(part: Stanza, home: Path) -> tuple[PlatformKeySettings, ...]:
    found: list[PlatformKeySettings] = []
    for key in part.listed("keys"):
        kid = key.text("kid")
        if kid and kid in [one.kid for one in found]:
            key.mistake("kid", "is given twice")
        algorithm = key.choice("algorithm", ("EdDSA", "Ed25519", "ES256", "PS256"), "EdDSA")
        file = home / key.text("public_key_file")
        found.append(PlatformKeySettings(kid=kid, algorithm=algorithm, public_key_file=file))
    if not found:
        part.mistake("keys", "at least one key is needed")
    return tuple(found)


def _timestamps(part: Stanza, home: Path) -> TimestampSettings:
    return TimestampSettings(
        tsa_url=part.text("tsa_url"),
        tsa_root_file=home / part.text("tsa_root_file"),
        tsa_policy=part.text("tsa_policy", ""),
        timeout=part.duration("timeout", "5s"),
        tolerance=part.duration("tolerance", "5m"),
        required=part.flag("required", True),
    )


def _text_or_nothing(part: Stanza, key: str) -> str:
    found = part.anything(key)
    if found is None or isinstance(found, str):
        return found or ""
    part.mistake(key, "must be a text")
    return ""


def _standing(part: Stanza) -> StandingSettings:
    return StandingSettings(
        every=part.duration("every", "1m"),
        intervals=_durations(part, "intervals", ("1d", "7d", "30d")),
        pause=part.duration("pause", "1h"),
        most=part.number("most", 200, least=1, most=100_000),
        parallel=part.number("parallel", 8, least=1, most=1000),
    )


def _durations(part: Stanza, key: str, default: tuple[str, ...]) -> tuple[timedelta, ...]:
    written = part.texts(key, default)
    try:
        found = tuple(duration(text) for text in written)
    except ValueError:
        found = ()
    if not found or not all(found):
        part.mistake(key, 'must be a list of durations such as ["1d", "7d"], at least one and none of nothing')
        return (timedelta(days=1),)
    return found


def _staff_keys(part: Stanza) -> StaffKeySettings:
    found = {
        key: _roles(part, key, default)
        for key, default in (("proposers", ("officer", "operator")), ("deciders", ("reviewer", "supervisor")))
    }
    for key, roles in found.items():
        if not roles:
            part.mistake(key, "at least one role is needed")
    return StaffKeySettings(**found)


def _roles(part: Stanza, key: str, default: tuple[str, ...] | None) -> frozenset[Role]:
    words = {role.value: role for role in Role}
    named = part.texts(key, default)
    for word in named:
        if word not in words:
            part.mistake(key, f"{word!r} is not a role; the roles are {', '.join(words)}")
    return frozenset(words[word] for word in named if word in words)


def _findings(part: Stanza) -> FindingSettings:
    return FindingSettings(
        defence_working_days=part.number("defence_working_days", 5, most=365),
        remedy_days=part.number("remedy_days", 60, most=3650),
    )


def _credit(part: Stanza) -> CreditSettings:
    division = part.text("division")
    if division and not (division.isascii() and division.isdigit() and len(division) == 6):
        part.mistake("division", "must be a division code of six digits")
    return CreditSettings(
        division=division, authority_name=part.text("authority_name"), authority_code=part.text("authority_code")
    )


def _exports(part: Stanza) -> ExportSettings:
    rules: dict[str, MaskRule] = {}
    for name in ("name", "id_number", "phone"):
        kept = part.anything(f"{name}_keeps")
        rule = None if kept is None else read_rule(kept)
        if rule is not None:
            rules[name] = rule
        elif kept is not None:
            part.mistake(f"{name}_keeps", "must be two numbers from 0 to 32: how many characters stay at head and tail")
    return ExportSettings(masking=MaskRules(**rules))


def _retention(part: Stanza) -> RetentionRules:
    default = _periods(part, Periods())
    matters: dict[str, Periods] = {}
    for own in part.listed("matters"):
        matter = own.text("matter")
        if matter in matters:
            own.mistake("matter", "is given twice")
        matters[matter] = _periods(own, default)
    return RetentionRules(default=default, matters=matters)


def _periods(part: Stanza, default: Periods) -> Periods:
    def years(key: str, usual: int) -> int:
        return part.number(key, usual, least=1, most=100)

    return Periods(
        commitment=years("commitment_years", default.commitment),
        verification=years("verification_years", default.verification),
        lookup=years("lookup_years", default.lookup),
    )


def _officer(part: Stanza, home: Path) -> OfficerSettings:
    return OfficerSettings(
        number=part.text("number"), name=part.text("name"), public_key_file=home / part.text("public_key_file")
    )


def _calendar(part: Stanza) -> CalendarSettings:
    return CalendarSettings(
        holidays=_days(part, "holidays"),
        working_days=_days(part, "working_days"),
    )


def _days(part: Stanza, key: str) -> tuple[date, ...]:
    found = part.anything(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(type(day) is date for day in found):
        part.mistake(key, "must be a list of dates")
        return ()
    return tuple(found)


def _callers(parts: list[Stanza], trust_domain: str, root: Stanza) -> dict[str, frozenset[Role]]:
    callers: dict[str, frozenset[Role]] = {}
    if not parts:
        root.mistake("callers", "at least one caller is needed")
    for part in parts:
        uri = part.text("id")
        if uri and unit_of(uri, trust_domain) is None:
            part.mistake("id", f"must be spiffe://{trust_domain}/org/<unified social credit code>/<system>")
        if uri in callers:
            part.mistake("id", "is given twice")
        callers[uri] = _roles(part, "roles", None)
    return callers


def _sources(root: Stanza) -> dict[str, Mapping[str, object]]:
    """Take the stanzas as they are: each connector reads its own."""
    found = root.anything("sources")
    if found is None:
        root.mistake("sources", "at least one source is needed")
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(stanza, Mapping) for stanza in found.values()):
        root.mistake("sources", "must be a table of tables")
        return {}
    return {str(name): stanza for name, stanza in found.items()}
