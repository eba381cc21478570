"""Verifying a pack offline, with nothing but the log's public key: every check that fails is named.

The anchor in the pack is believed unless other anchors are given; whoever relies on a pack compares its fingerprint
(SHA-256), which the report tells, with the one that the authority publishes. So with the roots of time stamps, and the
keys of clerks and platforms. What is only for reading (document.txt, letter.pdf, check.py, the READMEs) proves nothing,
and other versions write it otherwise: the report tells which of it is not as this version writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import GatewayError
from gateway.evidence_pack.archive import NotAPack, manifest_mistakes, read_archive
from gateway.evidence_pack.check import NO_STORY, OF_STORY, READING, image_among, names_of
from gateway.evidence_pack.collecting import (
    CHECK,
    DOCUMENT,
    FOREVER,
    KEY,
    STAFF_KEY_FILES,
    evidence_files,
    log_files,
    read_roots,
    readmes,
)
from gateway.evidence_pack.recipe import signature_file
from gateway.evidence_pack.story_checking import OneCheckpoint, StoryCheck, StoryWrong
from gateway.letters.plain import text_as_signed
from gateway.rules.kept import rows, table, text
from gateway.signatures.algorithms import read_public_key
from gateway.signatures.certificates import Certificate, parse_certificate
from gateway.signatures.chain import MOST_CERTIFICATES, Chain, Chains
from gateway.signatures.evidence import (
    SIGNATURE,
    CertificateEvidence,
    Clerk,
    Evidence,
    PlatformEvidence,
    StaffKey,
    WitnessedEvidence,
)
from gateway.signatures.lists import read_list as read_revocation_list
from gateway.signatures.platform import Platform, PlatformKey, parse_assertion
from gateway.signatures.revocation import RevocationRule, Revocations
from gateway.signatures.signatory import signatory_of
from gateway.signatures.timestamps import MOST_TOLERANCE, require_in_time, stamped
from gateway.signatures.verification import Act, Trust, verify_act
from gateway.signatures.witnessed import WitnessRules, verify_witnessed_in_time
from ledger import VerifiedReceipt, parse_vkey, verify_key_history
from ledger.anchors.token import verify_anchor
from ledger.canonical import Json, canonical, parse_canonical, parse_time
from ledger.disclosure import VerifiedDisclosure, verify_disclosure_by
from ledger.errors import LedgerError
from ledger.keyring.history import KeyHistory

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class CheckFailed(Exception):
    """A part of the pack is not what another part says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what it is of, and why it failed (empty if it did not)."""

    name: str
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of checking a pack: every check, and what the pack is of (no personal data)."""

    checks: tuple[Check, ...]
    told: Mapping[str, str] = field(default_factory=dict)
    not_proved: tuple[str, ...] = ()
    """What the pack does not prove though it holds, in words."""

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """Whom the checker believes: the log's first key, and other anchors and later revocations if any are given."""

    vkey: str
    anchors: tuple[Certificate, ...] = ()
    """Empty: the anchor in the pack."""
    lists: tuple[bytes, ...] = ()
    """Revocation lists (DER or PEM) that came later: a certificate that they say was revoked before fails."""


def check_pack(content: bytes, believed: Believed) -> Report:
    """Check a pack; what fails is in the report, nothing raises but what is wrong with `believed`."""
    try:
        files = read_archive(content)
    except NotAPack as error:
        return Report(checks=(Check(name="archive", failure=str(error)),))
    pack = _Pack(files, believed)
    checks = [Check(name="archive"), *(_checked(name, check) for name, check in pack.checks().items())]
    return Report(
        checks=tuple(checks),
        told=pack.told | {"not checked": ", ".join(pack.not_checked())},
        not_proved=tuple(pack.not_proved()),
    )


def _checked(name: str, check: Callable[[], None]) -> Check:
    try:
        check()
    except KeyError as error:
        return Check(name=name, failure=f"{error.args[0]} is missing")
    except (CheckFailed, StoryWrong, GatewayError, LedgerError) as error:
        return Check(name=name, failure=str(error))
    except Exception as error:  # parsers raise whatever they like on hostile bytes: all of it is a failure
        return Check(name=name, failure=f"malformed ({type(error).__name__})")
    return Check(name=name)


class _Pack:
    """The files of one pack, read as they are needed; whatever is wrong raises where it is read."""

    def __init__(self, files: Mapping[str, bytes], believed: Believed) -> None:
        self._files = files
        self._believed = believed
        self.told: dict[str, str] = {}

    def checks(self) -> dict[str, Callable[[], None]]:
        """List the checks by name, in the order in which a reader wants to know."""
        always = {
            "manifest": self._manifest,
            "receipt": self._receipt,
            "recorded evidence": self._recorded,
            "recorded document": self._prepared,
            "document": self._document_digest,
            "files": self._derived,
            "signature": self._signature,
        }
        more: dict[str, Callable[[], None]] = {}
        if "signer.pem" in self._files:
            more["revocation"] = self._revocation
        if "witness.json" in self._files:
            more["clerk's key"] = self._clerks_key
        if "timestamp.tsr" in self._files or self._claims_a_stamp():
            more["time stamp"] = self._timestamp
        if any(name in self._files for name in OF_STORY):
            more |= {"life": self._life, "foundation": self._foundation}
        return {**always, **more}

    def not_proved(self) -> list[str]:
        """Say what the files do not prove, once they are checked."""
        if not any(name in self._files for name in OF_STORY):
            return [NO_STORY]
        return self._story.not_proved if "_story" in self.__dict__ else []

    def not_checked(self) -> list[str]:
        """Name the files for reading that are not, byte for byte, what this version writes of the others."""
        try:
            written = {
                "check.py": CHECK.read_bytes(),
                "document.txt": text_as_signed(self._document, self._kept, self._proved.entry.at).encode(),
                **readmes(self._files, self._kept),
            }
        except Exception:  # what they are written of is malformed, which its own check tells
            written = {}
        return [name for name in sorted(READING) if name in self._files and self._files[name] != written.get(name)]

    @cached_property
    def _keys(self) -> KeyHistory:
        verifier = parse_vkey(self._believed.vkey)
        return verify_key_history(self._files["log.history"].decode(), self._believed.vkey, verifier.name)

    @cached_property
    def _here(self) -> OneCheckpoint:
        return OneCheckpoint(self._keys, self._files["recorded.tlog-proof"])

    @cached_property
    def _proved(self) -> VerifiedReceipt:
        return self._here.verify_receipt(self._files["recorded.tlog-proof"])

    @cached_property
    def _kept(self) -> Mapping[str, Json]:
        return table(parse_canonical(self._files["signature.json"]))

    @cached_property
    def _document(self) -> Mapping[str, Json]:
        return table(parse_canonical(self._files["document.json"]))

    @cached_property
    def _verified_at(self) -> datetime:
        return parse_time(text(self._kept["verified_at"]))

    def _claims_a_stamp(self) -> bool:
        try:
            return self._kept["timestamp"] is not None
        except Exception:  # signature.json is missing or malformed: its own check tells
            return False

    def _manifest(self) -> None:
        mistakes = manifest_mistakes(self._files)
        if mistakes:
            raise CheckFailed("; ".join(mistakes))

    def _receipt(self) -> None:
        entry = self._proved.entry
        _require(entry.kind == "CommitmentRecorded", f"the entry is {entry.kind}, not CommitmentRecorded")
        _require(self._files["entry.json"] == self._proved.leaf, "entry.json is not the entry of the receipt")
        _require(self._verified_at <= entry.at, "the entry is older than the verification of the signature")
        self.told |= {
            "record": entry.record.hex(),
            "index": str(self._proved.index),
            "size": str(self._proved.size),
            "recorded_at": entry.at.isoformat(),
        }

    def _disclosed(self, name: str, group: str) -> VerifiedDisclosure:
        disclosure = verify_disclosure_by(self._files[name], self._here.verify_receipt)
        _require(disclosure.group == group, f"{name} is of another group")
        _require(disclosure.receipt.entry.record == self._proved.entry.record, f"{name} is of another commitment")
        return disclosure

    def _recorded(self) -> None:
        found = self._disclosed("recorded.disclosure.json", SIGNATURE)
        _require(found.receipt.leaf == self._proved.leaf, "the evidence was recorded by another entry")
        _require(canonical(found.value) == self._files["signature.json"], "signature.json is not what was recorded")

    def _prepared(self) -> None:
        found = self._disclosed("prepared.disclosure.json", DOCUMENT)
        kind = found.receipt.entry.kind
        _require(kind == "CommitmentPrepared", f"the entry is {kind}, not CommitmentPrepared")
        _require(canonical(found.value) == self._files["document.json"], "document.json is not what was handed out")

    @cached_property
    def _story(self) -> StoryCheck:
        prepared = self._disclosed("prepared.disclosure.json", DOCUMENT).receipt
        return StoryCheck(self._files, self._here, recorded=self._proved, prepared=prepared)

    def _life(self) -> None:
        self.told |= self._story.life()

    def _foundation(self) -> None:
        self.told |= self._story.foundation()

    def _document_digest(self) -> None:
        digest = hashlib.sha256(self._files["document.json"]).hexdigest()
        _require(digest == self._kept["document_digest"], "the signature was accepted for another document")

    def _derived(self) -> None:
        known = names_of(self._kept) | ({self._image()} if self._kept["type"] == "witnessed" else set())
        unknown = sorted(self._files.keys() - known)
        _require(not unknown, f"no pack of this evidence has these: {', '.join(unknown)}")
        lists = {hashlib.sha256(one).hexdigest(): one for one in self._lists()}
        derived = {**evidence_files(self._kept, lists.get), **log_files(self._files["recorded.tlog-proof"], self._keys)}
        other = sorted(name for name, content in derived.items() if self._files.get(name) != content)
        _require(not other, f"not as signature.json and the receipt say: {', '.join(other)}")

    def _signature(self) -> None:
        act = Act(
            document=self._files["document.json"],
            evidence=self._evidence(),
            signatory=signatory_of(self._document),
            clerk=self._clerk(),
            staff_key=self._staff_key(),
        )
        verify_act(act, self._trust(), at=self._verified_at)
        if isinstance(act.evidence, WitnessedEvidence):
            verify_witnessed_in_time(self._document, act.evidence.witnessed_at, at=self._verified_at)

    def _evidence(self) -> Evidence:
        kept = self._kept
        match kept["type"]:
            case "certificate":
                return CertificateEvidence(
                    algorithm=text(kept["algorithm"]),
                    signature=self._files["signature.bin"],
                    certificates=self._certificates()[:-1],
                )
            case "witnessed":
                statement = self._statement()
                return WitnessedEvidence(
                    handwriting=self._handwriting(),
                    seen=text(statement["seen"]),
                    staff_key=bytes.fromhex(text(kept["staff_key"])),
                    algorithm=text(kept["algorithm"]),
                    signature=self._files["signature.bin"],
                    witnessed_at=parse_time(text(statement["witnessed_at"])),
                )
            case "platform":
                return PlatformEvidence(jws=self._files["assertion.jws"].decode("ascii"))
        raise CheckFailed("the evidence is of a kind that is not known")

    def _trust(self) -> Trust:
        chains = Chains(self._anchors(), most_intermediates=MOST_CERTIFICATES)
        witness = WitnessRules(tolerance=FOREVER, most_image_bytes=len(self._handwriting()))
        return Trust(chains=chains, platforms=self._platforms(), witness=witness)

    def _certificates(self) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(text(one)) for one in rows(self._kept["certificates"]))

    def _anchors(self) -> Sequence[Certificate]:
        if self._kept["type"] != "certificate":
            return ()
        anchor = parse_certificate(self._certificates()[-1])
        self.told["anchor_sha256"] = anchor.digest.hex()
        return self._believed.anchors or (anchor,)

    def _chain(self) -> Chain:
        return self._trust().chains.find(self._certificates()[:-1], self._verified_at)

    def _statement(self) -> Mapping[str, Json]:
        return table(parse_canonical(self._files["witness.json"]))

    def _image(self) -> str:
        try:
            return image_among(self._files, self._files.__getitem__)
        except ValueError as error:
            raise CheckFailed(str(error)) from error

    def _handwriting(self) -> bytes:
        return self._files[self._image()] if self._kept["type"] == "witnessed" else b""

    def _clerk(self) -> Clerk:
        if self._kept["type"] != "witnessed":
            return Clerk(person="", unit="")
        statement = self._statement()
        return Clerk(person=text(statement["clerk"]), unit=text(statement["unit"]))

    def _staff_key(self) -> StaffKey | None:
        if self._kept["type"] != "witnessed":
            return None
        public_key = bytes.fromhex(text(self._kept["public_key"]))
        self.told["clerk_key_sha256"] = hashlib.sha256(public_key).hexdigest()
        clerk = self._clerk()
        return StaffKey(
            record=bytes.fromhex(text(self._kept["staff_key"])),
            person=clerk.person,
            unit=clerk.unit,
            algorithm=text(self._kept["algorithm"]),
            public_key=public_key,
            enrolled_at=_BEGINNING,
        )

    def _clerks_key(self) -> None:
        """Check that the ledger names this key as this clerk's, enrolled before and not revoked before the signing.

        Whether a revocation was left out cannot be told from the pack: the log's index of records tells it.
        """
        at = parse_time(text(self._statement()["witnessed_at"]))
        proposed = verify_disclosure_by(self._files[STAFF_KEY_FILES["StaffKeyProposed"]], self._here.verify_receipt)
        _require(proposed.group == KEY, "the disclosure of the key is of another group")
        told = table(proposed.value)
        _require(told["public_key"] == self._kept["public_key"], "another key was enrolled")
        clerk = self._clerk()
        _require((told["person"], told["unit"]) == (clerk.person, clerk.unit), "the key is another clerk's")
        _require(self._of_key("StaffKeyProposed", proposed.receipt) <= at, "the key was proposed after the signing")
        enrolled = self._here.verify_receipt(self._files[STAFF_KEY_FILES["StaffKeyEnrolled"]])
        _require(self._of_key("StaffKeyEnrolled", enrolled) <= at, "the key was not enrolled before the signing")
        if STAFF_KEY_FILES["StaffKeyRevoked"] in self._files:
            revoked = self._here.verify_receipt(self._files[STAFF_KEY_FILES["StaffKeyRevoked"]])
            _require(self._of_key("StaffKeyRevoked", revoked) > at, "the key was revoked before the signing")

    def _of_key(self, kind: str, receipt: VerifiedReceipt) -> datetime:
        """Give when an entry of the clerk's key was made, once it is one of this kind."""
        _require(receipt.entry.kind == kind, f"an entry of the key is {receipt.entry.kind}, not {kind}")
        _require(receipt.entry.record.hex() == self._kept["staff_key"], f"{kind} is of another key")
        return receipt.entry.at

    def _platforms(self) -> tuple[Platform, ...]:
        if self._kept["type"] != "platform":
            return ()
        assertion = parse_assertion(text(self._kept["jws"]))
        public_key = bytes.fromhex(text(self._kept["public_key"]))
        self.told["platform_key_sha256"] = hashlib.sha256(public_key).hexdigest()
        audience = assertion.claims["aud"]
        key = PlatformKey(
            kid=str(assertion.header["kid"]),
            algorithm=str(assertion.header["alg"]),
            key=read_public_key(public_key),
            public_key=public_key,
        )
        return (
            Platform(
                issuer=str(assertion.claims["iss"]),
                audience=str(audience[0] if isinstance(audience, list) else audience),
                keys=(key,),
                longest_life=FOREVER,
            ),
        )

    def _lists(self) -> list[bytes]:
        names = sorted(name for name in self._files if name.endswith(".crl.pem"))
        return [x509.load_pem_x509_crl(self._files[name]).public_bytes(Encoding.DER) for name in names]

    def _revocation(self) -> None:
        at = self._verified_at
        lists = [read_revocation_list(one) for one in self._lists()]
        answers = [content for name, content in sorted(self._files.items()) if name.endswith(".ocsp")]
        used = Revocations(lists, answers, rule=RevocationRule.REQUIRE, fresh=FOREVER)
        proofs, known = used.check(self._chain(), at=at, now=at)
        _require(len(proofs) == len(rows(self._kept["revocation"])), "what told that nothing was revoked does not hold")
        self.told["revocation"] = "known of every certificate" if known else f"{len(proofs)} proofs"
        for later in map(read_revocation_list, self._believed.lists):
            told = Revocations([later], rule=RevocationRule.REQUIRE, fresh=FOREVER)
            proofs, _ = told.check(self._chain(), at=at, now=later.parsed.last_update_utc)
            _require(bool(proofs), "a list that was given says nothing about the certificates of this pack")

    def _timestamp(self) -> None:
        roots = read_roots(self._files["tsa-roots.pem"])
        signature = self._files[signature_file(text(self._kept["type"]))]
        at = verify_anchor(self._files["timestamp.tsr"], stamped(self._files["document.json"], signature), roots)
        said = table(self._kept["timestamp"])
        _require(parse_time(text(said["at"])) == at, "another time was recorded than the time stamp says")
        require_in_time(at, self._verified_at, MOST_TOLERANCE)
        self.told["stamped_at"] = at.isoformat()
        found = [hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest() for one in roots.certificates]
        self.told["timestamp_roots_sha256"] = ", ".join(found)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)
