"""From a recorded commitment to its pack: read the parts, open the commitments, write the file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import DocumentErased, EvidenceMissing, RecordNotFound
from gateway.evidence_pack.archive import write_archive
from gateway.evidence_pack.check import to_pem
from gateway.evidence_pack.recipe import StatusProof, Subject, Telling, readme, signature_file, steps
from gateway.evidence_pack.story import COMPLETE, STORY, StoryReader, erased_in, read_story
from gateway.pki import public_key_pem
from gateway.rules.kept import rows, table, text
from gateway.signatures.certificates import parse_certificate
from gateway.signatures.chain import Chain
from gateway.signatures.evidence import HANDWRITING, SIGNATURE
from gateway.signatures.image import PNG
from gateway.signatures.lists import read_list
from gateway.signatures.platform import parse_assertion, signature_der
from gateway.signatures.revocation import RevocationRule, Revocations
from gateway.signatures.timestamps import stamped
from ledger import Erased, HistoryLine, KeyHistory, VaultGroup, disclose, format_key_history
from ledger.anchors.token import Roots, verify_anchor
from ledger.canonical import Json, canonical, parse_time
from ledger.errors import AnchorError, EntryUnpublished
from ledger.log.algorithms.ed25519 import Ed25519Verifier
from ledger.log.algorithms.sm2 import Sm2PublicKey
from ledger.log.checkpoint import read_checkpoint
from ledger.log.note import parse_line, split_note
from ledger.receipt import parse_receipt
from ledger.records.codec import decode_entry

DOCUMENT = "document"
"""The group of CommitmentPrepared that holds the document."""
KEY = "key"
"""The group of StaffKeyProposed that holds the key and whose it is."""
STAFF_KEY_FILES = {
    "StaffKeyProposed": "staff-key.disclosure.json",
    "StaffKeyEnrolled": "staff-key-enrolled.tlog-proof",
    "StaffKeyRevoked": "staff-key-revoked.tlog-proof",
}
"""What proves the life of a clerk's key, by the kind of the entry."""
CHECK = Path(__file__).with_name("check.py")
FOREVER = timedelta(days=365_000)
"""How old a list or an answer may be: whether it was fresh enough was decided when the signature was verified."""


class RecordReader(StoryReader, Protocol):
    """Where a commitment is read from: an open ledger, or a database beside a running one."""

    def receipts(self, indices: Sequence[int], size: int | None = None) -> list[bytes]:
        """Return the receipts of entries, all against the checkpoint of this size, by default one that is witnessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a pack holds beside the commitment itself."""

    keys: Callable[[], KeyHistory]
    """The keys of the log."""
    text: Callable[[Mapping[str, Json], Mapping[str, Json], datetime], str]
    """Writes a document for reading, with what is kept of its signature and when that was recorded."""
    kept_list: Callable[[str], bytes | None]
    """Gives a revocation list that was used, by its SHA-256 in hexadecimal."""
    timestamp_roots: Callable[[], Iterable[bytes]] = tuple
    """Gives the root certificates (PEM) of every time-stamping authority there was, the one of today first."""


def collect(reader: RecordReader, record: bytes, circumstances: Circumstances, *, letter: bytes | None = None) -> bytes:
    """Write the evidence pack of a recorded commitment; `letter` is the letter as PDF, where one was made.

    Raises:
        RecordNotFound: nothing was recorded under this record, or it is no commitment that was signed.
        DocumentErased: its document was erased.
        EvidenceMissing: a part of it is not kept here.
        ledger.EntryUnpublished: no published checkpoint covers it yet.
    """
    size = reader.published()  # all of the pack is as of then: a checkpoint may be published at any moment
    history = reader.history(record)
    prepared, recorded = (_entry(history, kind, size) for kind in ("CommitmentPrepared", "CommitmentRecorded"))
    documents = [_opened(reader.document(index)) for index in (prepared, recorded)]
    document = table(documents[0][DOCUMENT].value)
    signature = table(documents[1][SIGNATURE].value)
    staff_key = _staff_key_entries(reader, signature, size)
    story = read_story(reader, record, prepared, bytes.fromhex(text(document["verification"])), size)
    if story.committed is not None and story.committed >= size:  # an index was committed to since: as of after that
        return collect(reader, record, circumstances, letter=letter)
    receipts = _receipts(reader, {prepared, recorded, *staff_key.values(), *story.indices()}, size)
    first, last = receipts[prepared], receipts[recorded]
    leaf = parse_receipt(last).leaf
    files = {
        "document.json": canonical(document),
        "document.txt": circumstances.text(document, signature, decode_entry(leaf).at).encode(),
        "signature.json": canonical(signature),
        "entry.json": leaf,
        "recorded.tlog-proof": last,
        "recorded.disclosure.json": disclose(last, documents[1], SIGNATURE),
        "prepared.disclosure.json": disclose(first, documents[0], DOCUMENT),
        "check.py": CHECK.read_bytes(),
        **log_files(last, circumstances.keys()),
        **evidence_files(signature, circumstances.kept_list),
        **_handwriting_files(documents[1]),
        **_staff_key_files(reader, staff_key, receipts),
        **story.files(receipts),
    }
    files |= _roots_files(files, signature, circumstances.timestamp_roots)
    if letter is not None:
        files["letter.pdf"] = letter
    return write_archive({**files, **readmes(files, signature)})


def _entry(history: Sequence[HistoryLine], kind: str, size: int) -> int:
    found = [line.idx for line in history if line.kind == kind]
    if not found:
        raise RecordNotFound("signed commitment")
    if found[-1] >= size:
        raise EntryUnpublished(found[-1] + 1, size)
    return found[-1]


def _receipts(reader: RecordReader, entries: Iterable[int], size: int) -> dict[int, bytes]:
    """Make receipts against one checkpoint, of no larger size: a newer one covers entries that were not looked at."""
    indices = sorted(entries)
    receipts = reader.receipts(indices)
    if read_checkpoint(parse_receipt(receipts[0]).note).size > size:
        receipts = reader.receipts(indices, size)
    return dict(zip(indices, receipts, strict=True))


def _opened(document: Mapping[str, VaultGroup] | Erased) -> Mapping[str, VaultGroup]:
    if isinstance(document, Erased):
        raise DocumentErased
    return document


def readmes(files: Mapping[str, bytes], signature: Mapping[str, Json]) -> dict[str, bytes]:
    """Write the READMEs of a pack of these files."""
    found = steps(_subject(files, signature), has_stamp="timestamp.tsr" in files)
    told = Telling(
        story=STORY in files, complete=COMPLETE in files, erased=erased_in(files[STORY]) if STORY in files else 0
    )
    return {
        "README.md": readme(found, told, chinese=False),
        "README.zh-CN.md": readme(found, told, chinese=True),
    }


def _subject(files: Mapping[str, bytes], signature: Mapping[str, Json]) -> Subject:
    subject = Subject(
        kind=text(signature["type"]),
        algorithm=text(signature["algorithm"]),
        verified_at=parse_time(text(signature["verified_at"])),
    )
    if subject.kind != "certificate":
        return subject
    chain = chain_of(signature)
    names = certificate_names(len(chain.certificates))
    proofs = sorted((name for name in files if name.startswith("revocation-")), key=_number)
    by_sm2 = {name for name, one in zip(names, chain.certificates, strict=True) if isinstance(one.key, Sm2PublicKey)}
    by_sm2.discard(names[0])
    statuses = [
        replace(one, by_sm2=one.issuer in by_sm2)
        for name in proofs
        for one in _statuses(name, files[name], chain, names, subject.verified_at)
    ]
    return replace(subject, authorities=names[1:-1], by_sm2=by_sm2, statuses=statuses)


def certificate_names(count: int) -> list[str]:
    """Name the files of a chain of so many certificates, the signer's first."""
    return ["signer.pem", *(f"authority-{number}.pem" for number in range(1, count - 1)), "anchor.pem"]


def chain_of(signature: Mapping[str, Json]) -> Chain:
    """Read the chain of a signature by certificate as it was kept."""
    certificates = [parse_certificate(bytes.fromhex(text(one))) for one in rows(signature["certificates"])]
    starts, ends = max(one.starts for one in certificates), min(one.ends for one in certificates)
    return Chain(certificates=tuple(certificates), starts=starts, ends=ends)


def _number(name: str) -> int:
    return int(name.removeprefix("revocation-").partition(".")[0])


def _statuses(name: str, content: bytes, chain: Chain, names: Sequence[str], at: datetime) -> Iterator[StatusProof]:
    """Say of which certificates a proof tells; one that was dated ahead is read as of its date."""
    if name.endswith(".ocsp"):
        told, since = Revocations([], [content], rule=RevocationRule.REQUIRE, fresh=FOREVER), at
    else:
        one = read_list(content)
        told, since = Revocations([one], rule=RevocationRule.REQUIRE, fresh=FOREVER), one.parsed.last_update_utc
    unknown = [certificate.digest for certificate, _ in told.unknown(chain, at=at, now=at)]
    for (certificate, _), own, above in zip(chain.links(), names, names[1:], strict=False):
        if certificate.digest not in unknown:
            yield StatusProof(file=name, certificate=own, issuer=above, at=max(at, since))


def log_files(receipt: bytes, keys: KeyHistory) -> dict[str, bytes]:
    """Give the files about the log's signature over the checkpoint of a receipt.

    Raises:
        EvidenceMissing: no Ed25519 key of the log signed it.
    """
    note = parse_receipt(receipt).note
    signed, lines = split_note(note)
    verifiers = {
        (one.name, one.key_id): one
        for one in keys.verifiers_at(read_checkpoint(note).size)
        if isinstance(one, Ed25519Verifier)
    }
    for line in map(parse_line, lines):
        verifier = verifiers.get((line.name, line.key_id))
        if verifier is not None:
            key = Ed25519PublicKey.from_public_bytes(verifier.public)
            return {
                "log.vkey": keys.keys[0].vkey.encode() + b"\n",
                "log.history": format_key_history(keys).encode(),
                "log-key.pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
                "checkpoint.txt": signed.encode(),
                "checkpoint.sig": line.signature,
            }
    raise EvidenceMissing("the key that signed the checkpoint")


def evidence_files(signature: Mapping[str, Json], kept_list: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """Give the files of the evidence as it was kept in the group `signature`; an image of handwriting is apart.

    Raises:
        EvidenceMissing: a revocation list that was used is not kept here.
    """
    stamp = signature["timestamp"]
    stamped = {} if stamp is None else {"timestamp.tsr": base64.b64decode(text(table(stamp)["token"]))}
    return {**stamped, **_files_by_type(signature, kept_list)}


def _files_by_type(signature: Mapping[str, Json], kept_list: Callable[[str], bytes | None]) -> dict[str, bytes]:
    match signature["type"]:
        case "certificate":
            return _certificate_files(signature, kept_list)
        case "witnessed":
            return {
                "witness.json": text(signature["statement"]).encode(),
                "signature.bin": bytes.fromhex(text(signature["signature"])),
                "signer-key.pem": public_key_pem(bytes.fromhex(text(signature["public_key"]))),
            }
        case "platform":
            jws = text(signature["jws"])
            assertion = parse_assertion(jws)
            return {
                "assertion.jws": jws.encode(),
                "assertion.txt": assertion.signed,
                "signature.bin": signature_der(assertion, str(assertion.header["alg"])),
                "signer-key.pem": public_key_pem(bytes.fromhex(text(signature["public_key"]))),
            }
    raise EvidenceMissing("a kind of signature that this version knows")


def _handwriting_files(document: Mapping[str, VaultGroup]) -> dict[str, bytes]:
    if HANDWRITING not in document:
        return {}
    handwriting = table(document[HANDWRITING].value)
    name = "handwriting.png" if handwriting["media_type"] == PNG else "handwriting.jpg"
    return {name: base64.b64decode(text(handwriting["image"]))}


def _staff_key_entries(reader: RecordReader, signature: Mapping[str, Json], size: int) -> dict[str, int]:
    """Find the entries that proposed, enrolled and revoked the key of a clerk who witnessed, by kind."""
    if signature["type"] != "witnessed":
        return {}
    history = reader.history(bytes.fromhex(text(signature["staff_key"])))
    found = {line.kind: line.idx for line in history if line.kind in STAFF_KEY_FILES and line.idx < size}
    if "StaffKeyProposed" not in found or "StaffKeyEnrolled" not in found:
        raise EvidenceMissing("the enrolment of the clerk's key")
    return found


def _staff_key_files(
    reader: RecordReader, entries: Mapping[str, int], receipts: Mapping[int, bytes]
) -> dict[str, bytes]:
    files = {}
    for kind, index in entries.items():
        content = receipts[index]
        if kind == "StaffKeyProposed":
            content = disclose(content, _opened(reader.document(index)), KEY)
        files[STAFF_KEY_FILES[kind]] = content
    return files


def _certificate_files(signature: Mapping[str, Json], kept_list: Callable[[str], bytes | None]) -> dict[str, bytes]:
    chain = chain_of(signature)
    files = {
        "signature.bin": bytes.fromhex(text(signature["signature"])),
        "signer-key.pem": public_key_pem(chain.leaf.public_key_info),
    }
    names = certificate_names(len(chain.certificates))
    files |= {name: one.pem for name, one in zip(names, chain.certificates, strict=True)}
    for number, proof in enumerate(map(table, rows(signature["revocation"])), start=1):
        name, content = _proof_file(number, proof, kept_list)
        files[name] = content
    return files


def _proof_file(number: int, proof: Mapping[str, Json], kept_list: Callable[[str], bytes | None]) -> tuple[str, bytes]:
    if proof["kind"] == "ocsp":
        return f"revocation-{number}.ocsp", base64.b64decode(text(proof["content"]))
    digest = text(proof["sha256"])
    content = kept_list(digest)
    if content is None:
        raise EvidenceMissing(f"the revocation list {digest}")
    return f"revocation-{number}.crl.pem", to_pem("X509 CRL", content)


def _roots_files(
    files: Mapping[str, bytes], signature: Mapping[str, Json], roots: Callable[[], Iterable[bytes]]
) -> dict[str, bytes]:
    """Give the first roots under which the stamp verifies: the authority may have changed since."""
    if signature["timestamp"] is None:
        return {}
    content = stamped(files["document.json"], files[signature_file(text(signature["type"]))])
    for one in roots():
        try:
            verify_anchor(files["timestamp.tsr"], content, read_roots(one))
        except (AnchorError, ValueError):
            continue
        return {"tsa-roots.pem": one}
    raise EvidenceMissing("the root certificates of the authority that made the time stamp")


def read_roots(content: bytes) -> Roots:
    """Read root certificates (PEM) whatever policy their stamps name; raises `ValueError`."""
    return Roots(certificates=tuple(x509.load_pem_x509_certificates(content)))
