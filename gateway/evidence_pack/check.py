#!/usr/bin/env python3
"""Check, with Python's standard library alone, what openssl cannot: that these files are of one act, and in the log.

Run it in the folder of the unpacked evidence pack: python3 -I check.py. It recomputes the leaf hash and the Merkle
proof of recorded.tlog-proof (RFC 9162) up to the root in checkpoint.txt and the salted commitments of the disclosures;
it compares every file that openssl is asked about with what was recorded (signature.json), the signer with the person
in document.json, and says which key of the log is to be compared with the published one. Signatures are checked with
openssl: see README.md. It runs with Python 3.6 and all later ones: the machine of whoever checks may be old.
"""

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    sys.path[:] = [one for one in sys.path if one != sys.path[0]]  # else a json.py that came in the pack would be run

import base64
import hashlib
import json
import re
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Collection, Dict, Iterator, List, Set, Tuple

DOTS = dict.fromkeys(map(ord, "•‧∙⋅・･᛫●▪⸱⸳ꞏ﹒．‥"), "·")
"""Written in names instead of the middle dot."""
PRIVATE_CODES = dict(enumerate(
    "⺁𠂇𠂉𠃌⺄㑳㑇⺈⺋龴㖞㘚㘎⺌⺗㥮㤘龵㧏㧟㩳㧐龶龷㭎㱮㳠⺧𡗗龸⺪䁖䅟⺮䌷⺳⺶⺷𢦏䎱"
    "䎬⺻䏝䓖䙡䙌龹䜣䜩䝼䞍⻊䥇䥺䥽䦂䦃䦅䦆䦟䦛䦷䦶龺𤇾䲣䲟䲠䲡䱷䲢䴓䴔䴕䴖䴗䴘䴙䶮龻",
    0xE815,
))  # fmt: skip
"""What GBK and GB 18030-2000 had private codes for, before Unicode had these characters."""
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""Choices of glyph, fillers, and what else is drawn as nothing, beside the format characters."""
HAN = "[\u3400-\u9fff\U00020000-\U0003ffff]"
FULL_STOP = re.compile("(?<=" + HAN + ")[.。](?=" + HAN + ")")
BLANK = re.compile(r"(.)\s+(?=(.))", re.DOTALL)
BASIC_CONSTRAINTS = b"\x55\x1d\x13"
NARROWING = (b"\x55\x1d\x1e", b"\x55\x1d\x21")
"""Name constraints and policy mappings: no certificate that is accepted has them, critical or not."""
COMMON_NAME, SERIAL_NUMBER = b"\x55\x04\x03", b"\x55\x04\x05"
ED25519 = bytes.fromhex("302a300506032b6570032100")
"""How a SubjectPublicKeyInfo of an Ed25519 key begins (RFC 8410); the 32 bytes of the key are all that follows."""
TEXTS = {
    0x0C: "utf-8", 0x12: "utf-8", 0x13: "utf-8", 0x14: "utf-8", 0x16: "utf-8", 0x1A: "utf-8",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
"""The types of text in a name (X.680), and how each is coded in certificates that are accepted."""
LOG_KEY_EVENTS = {"added": "LogKeyAdded", "retired": "LogKeyRetired"}
SIGNER_NAME = re.compile(r"[^\s+\x00-\x1f]+\Z")
KEY_LIFE = {"enrolled": "StaffKeyEnrolled", "revoked": "StaffKeyRevoked"}
READING = {"README.md", "README.zh-CN.md", "check.py", "document.txt", "letter.pdf"}
"""Files that prove nothing, and may be left out."""
OF_EVERY_ACT = {
    "MANIFEST", "document.json", "signature.json", "signature.bin", "signer-key.pem", "entry.json", "checkpoint.txt",
    "recorded.tlog-proof", "recorded.disclosure.json", "prepared.disclosure.json", "checkpoint.sig", "log-key.pem",
    "log.vkey", "log.history",
}  # fmt: skip
OF_STORY = ("story.json", "complete.json", "answer.disclosure.json", "eligibility.disclosure.json")
"""What became of the commitment, that this is all, what the unit was told before, and what was known of the signer."""
CLAIM = ("case_key", "subject", "item")
"""What a record is about: case and person are keyed, and tell nothing but whether they are the same."""
RESTED_ON = {"verification": "Verification", "assistance": "Assistance", "check": "Check"}
"""What a commitment can rest on, and how the kinds of its entries begin."""
NO_PROOF = (
    "the log had no index yet that reached it when this pack was made, or somebody took the proof out of the pack,"
    " which nothing in a pack can show: ask whoever keeps the log for a new one"
)
NOTHING_ELSE = (
    "that nothing else was recorded of the commitment, such as a withdrawal. There is no complete.json: " + NO_PROOF
)
NOTHING_ELSE_OF_THESE = (
    "that nothing else was recorded of {} of the {} records that the commitment rests on. Of these, " + NO_PROOF
)
REST = "that the commitment rests on nothing else: the index of the log is by record, not by case"
NO_STORY = (
    "what became of the commitment later, such as a withdrawal, and what it rests on. There is no story.json: an older"
    " version made this pack, or somebody took it out of the pack, which nothing in a pack can show: ask whoever keeps"
    " the log for a new one"
)
"""What a pack that holds may not prove."""
OF_LIFE = {"facts", "receipts"}
OF_DISCLOSURE = {"disclosure", "group", "receipt", "salt", "value"}
OF_COMPLETENESS = {"entries", "format", "index", "path", "receipt", "record", "stands"}
"""The members of the objects in these files."""
OF_KINDS = {
    "certificate": {"signer.pem", "anchor.pem"},
    "witnessed": {
        "witness.json", "staff-key.disclosure.json", "staff-key-enrolled.tlog-proof", "staff-key-revoked.tlog-proof",
    },
    "platform": {"assertion.jws", "assertion.txt"},
}  # fmt: skip
IMAGES = ("handwriting.png", "handwriting.jpg")
OF_ANY_PACK = READING | OF_EVERY_ACT | set(OF_STORY) | set().union(*OF_KINDS.values()) | set(IMAGES)
LIKE_A_PART = (
    ".bin", ".crl", ".history", ".json", ".jws", ".ocsp", ".ocsp.txt", ".pem", ".sig", ".tlog-proof", ".tsr", ".vkey",
)  # fmt: skip
"""How names end that would be taken for a proof, if not for one that every pack has."""
RUN = (".bat", ".cmd", ".com", ".dll", ".exe", ".pth", ".py", ".pyc", ".pyd", ".pyw", ".so")
"""How names end of what Python, or the machine, could run in place of what is meant."""


def sha256(*parts: bytes) -> bytes:
    """Give the SHA-256 of the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def content(name: str) -> bytes:
    """Read a file of the pack."""
    return Path(name).read_bytes()


def canonical(value: Any) -> bytes:
    """Write JSON as RFC 8785 does, for values without fractions."""
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda one: str(one).encode("utf-16-be"))}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def written(text: bytes) -> Any:
    """Read JSON in its canonical form, as packs have it: in another spelling, another program may see another value."""
    value = parsed(text)
    if canonical(value) != text:
        raise ValueError("JSON is not in canonical form")
    return value


def parsed(text: bytes) -> Any:
    """Read JSON in which no name is given twice: of two values, another program may see the other."""
    return json.loads(text.decode(), object_pairs_hook=once)


def once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """Make an object of names that are each given once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice in JSON")
    return found


def require_members(value: Any, name: str, *members: Set[str]) -> None:
    """Raise ValueError unless an object that was read from a file has just the members that packs have there."""
    if not isinstance(value, dict) or set(value) not in members:
        raise ValueError(f"{name}: a part has other members than packs have")


def from_base64(text: str) -> bytes:
    """Decode base64 in its one spelling (RFC 4648)."""
    value = base64.b64decode(text, validate=True)
    if base64.b64encode(value).decode() != text:
        raise ValueError("base64 is not in its one spelling")
    return value


def from_hex(text: str) -> bytes:
    """Decode hexadecimal in its one spelling: lower case, without blanks."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError("hexadecimal is not in its one spelling")
    return value


def decimal(text: str) -> int:
    """Read a number that is not negative in its one spelling."""
    value = int(text)
    if value < 0 or str(value) != text:
        raise ValueError("a number is not in its one spelling")
    return value


def read_receipt(text: str) -> Tuple[bytes, int, List[bytes], str]:
    """Take a receipt apart: the entry, its index, the proof, and the checkpoint with its signatures."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise ValueError("not a tlog-proof of version 1")
    entry = from_base64(after("extra ", lines[1]))
    proof = [from_base64(line) for line in lines[3:]]
    return entry, decimal(after("index ", lines[2])), proof, note


def after(word: str, line: str) -> str:
    """Give what follows the word with which a line begins."""
    if not line.startswith(word):
        raise ValueError("a line of another form")
    return line[len(word) :]


def root_of(entry: bytes, index: int, size: int, proof: List[bytes]) -> bytes:
    """Compute the root that the proof leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    here, last, computed = index, size - 1, sha256(b"\x00", entry)
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if here & 1 or here == last:
            computed = sha256(b"\x01", sibling, computed)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            computed = sha256(b"\x01", computed, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ValueError("the proof is too short")
    return computed


def proved(text: str) -> Any:
    """Give the entry of a receipt, once its proof leads to the root in checkpoint.txt, which openssl checks.

    All receipts of a pack are of one checkpoint, and have the same signatures of it.
    """
    entry, index, proof, note = read_receipt(text)
    checkpoint = content("checkpoint.txt").decode()
    recorded = read_receipt(content("recorded.tlog-proof").decode())[3]
    if note != recorded or note.rpartition("\n\n")[0] + "\n" != checkpoint:
        raise ValueError("a proof is of another checkpoint than checkpoint.txt, or has other signatures of it")
    _origin, size, root = checkpoint.split("\n")[:3]
    if root_of(entry, index, decimal(size), proof) != from_base64(root):
        raise ValueError("an entry is not in the log of checkpoint.txt")
    return written(entry)


def disclosed(name: str, group: str) -> Tuple[Any, Any]:
    """Give the value of a disclosure of a group, once its entry commits to it; and that entry."""
    return opened(written(content(name)), name, group)


def opened(parts: Any, name: str, group: str) -> Tuple[Any, Any]:
    """Give the value of a disclosure that was read from a file, once its entry commits to it; and that entry."""
    require_members(parts, name, OF_DISCLOSURE)
    entry, salt = proved(parts["receipt"]), from_hex(parts["salt"])
    if parts["group"] != group or len(salt) != 32:  # with a longer salt, a value would be part of it
        raise ValueError(f"{name}: a disclosure is of another group, or its salt is none")
    if parts["disclosure"] != "chengxin/disclosure@v1":
        raise ValueError(f"{name}: not a disclosure of version 1")
    domain = b"chengxin/ledger/v1/commit\x00" + group.encode() + b"\x00"
    if sha256(domain, salt, canonical(parts["value"])).hex() != entry["commits"][group]:
        raise ValueError(f"{name}: the entry does not commit to this value")
    return parts["value"], entry


def life_of(told: Any, *members: Set[str]) -> List[Any]:
    """Give the entries of one record, once their receipts are proved and none is left out between them."""
    require_members(told, "story.json", *members)
    entries: List[Any] = []
    before = None
    for receipt in told["receipts"]:
        entry = proved(receipt)
        if (entry["seq"], entry["prev"]) != (len(entries), before):
            raise ValueError("story.json: an entry of a record is missing, or another's")
        entries.append(entry)
        before = sha256(b"\x00", read_receipt(receipt)[0]).hex()
    if {entry["record"] for entry in entries} != {entries[0]["record"]}:
        raise ValueError("story.json: entries of several records as those of one")
    return entries


def of_story(recorded: Any, prepared: Any, verification: str) -> Tuple[Dict[str, bool], List[str]]:
    """Check what became of the commitment and what it rests on; give what is to be told, too."""
    if not Path("story.json").exists():
        there = [name for name in OF_STORY if Path(name).exists()]
        return {"no file of the story is here without story.json": not there}, [f"NOT PROVED: {NO_STORY}"]
    story = written(content("story.json"))
    require_members(story, "story.json", {"commitment", "rests_on"})
    life = life_of(story["commitment"], OF_LIFE)
    about = said_of(story["commitment"]["facts"], "story.json", "facts", prepared)
    said_of(written(content("eligibility.disclosure.json")), "eligibility.disclosure.json", "eligibility", prepared)
    rested, facts, told = {}, [], [f"{entry['at']} {entry['kind']}" for entry in life]
    proofs = [one.get("complete") for one in story["rests_on"]]
    for one in story["rests_on"]:
        entries, unit = (
            life_of(one, OF_LIFE, OF_LIFE | {"complete"}),
            "erased: what its case and person were is not shown",
        )
        rested[entries[0]["record"]] = (entries[0], one["facts"])
        if one["facts"] is not None:
            facts.append(said_of(one["facts"], "story.json", "facts", entries[0]))
            unit = f"unit {facts[-1]['unit']}"
        steps = ", ".join(f"{entry['at']} {entry['kind']}" for entry in entries)
        proof = one.get("complete")
        reach = "NOT PROVED: that nothing else was recorded of it" if proof is None else reach_of(proof)
        told.append(f"Rests on {entries[0]['record']} ({unit}): {steps}; {reach}")
    answered, is_told = rested[verification]
    if is_told is not None or Path("answer.disclosure.json").exists():
        said_of(written(content("answer.disclosure.json")), "answer.disclosure.json", "answer", answered)
    kinds = tuple(RESTED_ON.values())
    checks = {
        "story.json tells the life of this commitment": recorded in life and prepared in life,
        "the commitment rests on the verification in document.json": about["parent"] == verification,
        "what it rests on is what a commitment can rest on, each once": (
            len(rested) == len(story["rests_on"]) and all(one["kind"].startswith(kinds) for one, _ in rested.values())
        ),
        "what it rests on is of the same case, person and item": (
            all(one[name] == about[name] for one in facts for name in CLAIM)
        ),
    }
    proof = written(content("complete.json")) if Path("complete.json").exists() else None
    lives = [(story["commitment"], proof), *((one, one.get("complete")) for one in story["rests_on"])]
    checks.update(whole_as_far_as_proved(lives))
    if proof is None:
        told.append(f"NOT PROVED: {NOTHING_ELSE}")
    else:
        told.append(f"Of the commitment: {reach_of(proof)}")
    if None in proofs:
        told.append(f"NOT PROVED: {NOTHING_ELSE_OF_THESE.format(proofs.count(None), len(proofs))}")
    return checks, [*told, f"NOT PROVED: {REST}"]


def whole_as_far_as_proved(lives: List[Tuple[Any, Any]]) -> Dict[str, bool]:
    """Check each life, the commitment's first, against the proof that it is whole; some or all may have none.

    A pack has every proof that the newest index of the log allows, and so all are of one index.
    """
    sizes = [proof["index"]["size"] for _, proof in lives if proof is not None]
    if not sizes:
        return {}
    checks = {
        "the proofs that all is told are of one index of the log": len(set(sizes)) == 1,
        "none of these proofs was taken out": all(
            proof is not None or read_receipt(life["receipts"][0])[1] >= max(sizes) for life, proof in lives
        ),
    }
    for of, those in (("the commitment", lives[:1]), ("{} of the {} records that it rests on", lives[1:])):
        whole = [is_whole(life, proof) for life, proof in those if proof is not None]
        if whole:
            named = of.format(len(whole), len(those))
            checks[f"story.json tells all that was recorded of {named} as far as the index reached"] = all(whole)
    return checks


def reach_of(proof: Any) -> str:
    """Say how far it is proved that nothing else was recorded of a record."""
    return f"nothing else among the first {proof['index']['size']} entries (index of {proved(proof['receipt'])['at']})"


def is_whole(life: Any, parts: Any) -> bool:
    """Tell whether an index that was committed to holds just this life of a record.

    The index is a sparse Merkle tree: under the SHA-256 of each record, the leaf hash of its last entry.
    """
    record = proved(life["receipts"][0])["record"]
    require_members(parts, "a proof that all is told", OF_COMPLETENESS)
    if parts["format"] != "chengxin/completeness@v1" or not parts["entries"] or parts["stands"] is not None:
        raise ValueError("a proof that all is told is of another version, or of a record that is not there")
    committed, index = proved(parts["receipt"]), read_receipt(parts["receipt"])[1]
    size = parts["index"]["size"]
    domain = b"chengxin/ledger/v1/commit\x00public\x00"
    public = sha256(domain, bytes(32), canonical(parts["index"])).hex()
    entries = [one.encode() for one in parts["entries"]]
    key = sha256(from_hex(record))
    here = sha256(b"\x00", key, sha256(b"\x00", entries[-1]))
    for depth, beside in reversed(list(enumerate(map(from_hex, parts["path"])))):
        right = key[depth >> 3] >> (7 - (depth & 7)) & 1
        here = sha256(b"\x01", beside, here) if right else sha256(b"\x01", here, beside)
    shown = [read_receipt(one) for one in life["receipts"]]
    return bool(
        (committed["kind"], committed["commits"]) == ("IndexCommitted", {"public": public})
        and size <= index
        and here.hex() == parts["index"]["root"]
        and parts["record"] == record
        and entries == [entry for entry, at, _, _ in shown if at < size]
    )


def said_of(parts: Any, name: str, group: str, entry: Any) -> Any:
    """Give the value of a disclosure that was read from a file, once it is of this group of this entry."""
    value, of = opened(parts, name, group)
    if of != entry:
        raise ValueError(f"{name}: a disclosure is of another entry")
    return value


def names_of(signature: Any) -> Set[str]:
    """Give the name of every file that a pack of this evidence may have, but for an image of handwriting."""
    names = READING | OF_EVERY_ACT | OF_KINDS[signature["type"]] | set(OF_STORY)
    if signature["timestamp"] is not None:
        names |= {"timestamp.tsr", "tsa-roots.pem"}
    if signature["type"] == "certificate":
        names |= {f"authority-{number}.pem" for number in range(1, len(signature["certificates"]) - 1)}
        names |= {proof_name(number, one) for number, one in enumerate(signature["revocation"], start=1)}
    return names


def proof_name(number: int, proof: Any) -> str:
    """Name the file of what told that a certificate was not revoked."""
    return f"revocation-{number}." + ("crl.pem" if proof["kind"] == "crl" else "ocsp")


def image_among(there: Collection[str], read: Callable[[str], bytes]) -> str:
    """Name the image of handwriting among files: there is one, named as what it is."""
    names = [name for name in IMAGES if name in there]
    if len(names) != 1 or read(names[0]).startswith(b"\x89PNG") != names[0].endswith(".png"):
        raise ValueError("there is not one image of handwriting, named as what it is")
    return names[0]


def others_here(signature: Any) -> Tuple[List[str], List[str]]:
    """Name what is in this folder beside the files of the pack, and what the commands of its README wrote.

    What could be taken for a part of a pack, or be run, comes first. The rest changes nothing: the pack itself, the
    log's key, what was printed, what desktops write.
    """
    there = {one.name for one in Path().iterdir() if not one.name.startswith(".")}  # desktops write hidden files
    known = names_of(signature)
    known |= {"stamped.bin", *(f"{name}.txt" for name in known if name.endswith(".ocsp"))}
    if signature["type"] == "witnessed":
        known.add(image_among(there, content))
    others = sorted(there - known)
    bad = [name for name in others if could_be_meant(name)]
    return bad, [name for name in others if name not in bad]


def could_be_meant(name: str) -> bool:
    """Tell whether a file that is not of this pack has a name that some pack could have, or could be run.

    Nobody knows what is meant by a name with signs that are not shown, or that turn the order of the others round.
    """
    read = unicodedata.normalize("NFKC", name).casefold().strip(" .")  # as people and other systems read it
    is_part = read.endswith(LIKE_A_PART) or read in {one.casefold() for one in OF_ANY_PACK}
    return is_part or read.endswith(RUN) or any(Path(name).glob("__init__.*")) or not name.isprintable()


def digest_of(name: str) -> bytes:
    """Give the SHA-256 of a file."""
    return sha256(content(name))


def to_pem(label: str, der: bytes) -> bytes:
    """Write one object as PEM (RFC 7468)."""
    encoded = base64.b64encode(der).decode()
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def of_pem(name: str, label: str) -> str:
    """Give what a PEM file holds, in hexadecimal: one object, spelled in the one way in which packs have it.

    openssl reads on past what is not PEM, takes the first of several objects, and passes over bytes behind a key: in a
    file that is spelled otherwise it could see another object than this does.
    """
    text = content(name)
    der = base64.b64decode(b"".join(text.split(b"\n")[1:-2]))
    if to_pem(label, der) != text:
        raise ValueError(f"{name} is not one {label} as packs have it")
    return der.hex()


def from_url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_url(value: bytes) -> str:
    """Encode base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def parts_of(der: bytes) -> Iterator[Tuple[int, bytes]]:
    """Give the tag and the content of each DER value, one after the other (X.690)."""
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        if start + length > len(der):
            raise ValueError("a DER value that is cut off")
        yield tag, der[start : start + length]
        der = der[start + length :]


def fields_of(certificate: bytes) -> List[bytes]:
    """Give the fields of a certificate (RFC 5280): number, algorithm, issuer, validity, subject, key, and others."""
    ((_, whole),) = parts_of(certificate)
    _, signed = next(parts_of(whole))
    return [body for tag, body in parts_of(signed) if tag != 0xA0]  # the version goes before the serial number


def named_in(certificate: bytes) -> Tuple[List[str], List[str]]:
    """Give the common names and the serial numbers (of persons) in the subject of a certificate (RFC 5280)."""
    found: Dict[bytes, List[str]] = {COMMON_NAME: [], SERIAL_NUMBER: []}
    for _, alternatives in parts_of(fields_of(certificate)[4]):
        for _, attribute in parts_of(alternatives):
            (_, kind), (tag, value) = parts_of(attribute)
            found.setdefault(kind, []).append(value.decode(TEXTS[tag]) if tag in TEXTS else "")
    return found[COMMON_NAME], found[SERIAL_NUMBER]


def extensions_of(certificate: bytes) -> Dict[bytes, bytes]:
    """Give the value of each extension of a certificate, by its identifier."""
    ((_, whole),) = parts_of(certificate)
    _, signed = next(parts_of(whole))
    found = {}
    for tag, body in parts_of(signed):
        if tag == 0xA3:
            ((_, extensions),) = parts_of(body)
            for _, one in parts_of(extensions):
                (_, kind), *_, (_, value) = parts_of(one)
                found[kind] = value
    return found


def is_path(certificates: List[bytes]) -> bool:
    """Tell whether authorities above a certificate are such, above no more others than each says, and narrow nothing.

    Where openssl is asked about one link after the other, it cannot see this.
    """
    found = [extensions_of(one) for one in certificates]
    for below, extensions in enumerate(found[1:]):
        ((_, basic),) = parts_of(extensions[BASIC_CONSTRAINTS])
        fields = list(parts_of(basic))
        if fields[:1] != [(1, b"\xff")] or any(below > int.from_bytes(most, "big") for _, most in fields[1:]):
            return False
    return not any(kind in extensions for extensions in found for kind in NARROWING)


def plain(name: str) -> str:
    """Write a name as it is compared: how it was typed or coded is folded, never what it is.

    The gateway compares names so when it accepts a signature (connectors/names.py).
    """
    coded = name.translate(PRIVATE_CODES).translate(DOTS)
    folded = unicodedata.normalize("NFKC", coded).translate(DOTS)
    joined = BLANK.sub(between, "".join(one for one in folded if is_seen(one)).strip())
    return FULL_STOP.sub("·", unicodedata.normalize("NFKC", joined))


def is_seen(one: str) -> bool:
    """Tell whether a character is seen: it is no format character, choice of glyph, or filler."""
    return unicodedata.category(one) != "Cf" and UNSEEN.match(one) is None


def between(found: Any) -> str:
    """Leave out blanks beside Chinese characters, where they are a habit of typing, and keep one between words."""
    beside = (found.group(1), found.group(2))
    habit = any(
        one == "·" or unicodedata.east_asian_width(one) in "WF" or "\ue000" <= one <= "\uf8ff" for one in beside
    )
    return str(found.group(1)) if habit else f"{found.group(1)} "


def compact(number: str) -> str:
    """Write a number as it is compared: without blanks, hyphens, and what is not seen."""
    folded = unicodedata.normalize("NFKC", number)
    return "".join(one for one in folded if is_seen(one) and not one.isspace() and one != "-").upper()


def same_number(written: str, number: str) -> bool:
    """Compare a number as it was written with one of a document; an old one lacks the century and the check digit."""
    found = compact(written)
    return found == number or (len(found) == 15 and found[:6] + "19" + found[6:] == number[:-1])


def vkey_of(origin: str, key: bytes) -> str:
    """Write an Ed25519 key as logs publish theirs (C2SP signed-note)."""
    typed = b"\x01" + key
    number = sha256(origin.encode(), b"\n", typed).hex()[:8]
    return f"{origin}+{number}+{base64.b64encode(typed).decode()}"


def log_key() -> Tuple[str, Dict[str, bool]]:
    """Give the key that signed the checkpoint as logs publish theirs, and check it against the history of keys."""
    origin, size = content("checkpoint.txt").decode().split("\n")[:2]
    info = from_hex(of_pem("log-key.pem", "PUBLIC KEY"))
    key = info[len(ED25519) :]
    if info[: len(ED25519)] != ED25519 or len(key) != 32:
        raise ValueError("log-key.pem is not an Ed25519 key and nothing else")
    vkey = vkey_of(origin, key)
    keys = log_keys(origin)
    may_sign = [one for first, last, one in keys if first <= decimal(size) <= last]
    signed = [(one, signature) for name, signature in signatures() for one in may_sign if one.startswith(name)]
    return vkey, {
        "log.history is of this log, and begins with log.vkey": f"{keys[0][2]}\n" == content("log.vkey").decode(),
        "log-key.pem is a key of log.history that may sign this checkpoint": vkey in may_sign,
        "checkpoint.sig is the signature by log-key.pem in the receipts": (
            signed[:1] == [(vkey, content("checkpoint.sig"))] and len(signed) == len(dict(signed))
        ),
    }


def log_keys(origin: str) -> List[Tuple[int, float, str]]:
    """Give each key of log.history with the first and the last size that it may sign, as the entries in it say.

    Who signed the receipts of these entries is not checked: the key that is told at the end is to be compared.
    """
    text = content("log.history").decode()
    keys, _, events = text.partition("\n\n")[2].partition("\n\n")
    vkeys = [line.rpartition(" ")[2] for line in keys.split("\n")]
    first: Dict[int, int] = {0: 0}
    last: Dict[int, int] = {}
    lines = events.split("\n")[:-1]
    for event in lines:
        act, number, receipt = event.split(" ")
        entry, index, _, _ = read_receipt(from_base64(receipt).decode())
        if written(entry)["kind"] != LOG_KEY_EVENTS[act]:
            raise ValueError("log.history: an entry is of another kind")
        if act == "added":
            first[decimal(number)] = index + 1
        else:
            last[decimal(number)] = index
    ranges = [f"{first[number]}-{last.get(number, '')} {vkey}" for number, vkey in enumerate(vkeys)]
    if text != "\n".join(("chengxin key history v1", origin, "", *ranges, "", *lines, "")):
        raise ValueError("log.history is of another log, not in its one spelling, or not as its entries say")
    return [(first[number], last.get(number, float("inf")), vkey) for number, vkey in enumerate(vkeys)]


def signatures() -> List[Tuple[str, bytes]]:
    """Give how the verifier key of each who signed the checkpoint in the receipts begins, and the signature."""
    found = []
    for line in read_receipt(content("recorded.tlog-proof").decode())[3].rpartition("\n\n")[2].split("\n")[:-1]:
        name, encoded = after("\u2014 ", line).split(" ")
        value = from_base64(encoded)
        if SIGNER_NAME.match(name) is None or len(value) < 5:
            raise ValueError("a line of the checkpoint is not a signature")
        found.append((f"{name}+{value[:4].hex()}+", value[4:]))
    return found


def same_files(signature: Any) -> Dict[str, bool]:
    """Compare each file that openssl is asked about with what was recorded."""
    checks = {"certificate": of_certificate, "witnessed": of_witness, "platform": of_platform}[signature["type"]](
        signature
    )
    stamp = signature["timestamp"]
    if stamp is not None:
        recorded = from_base64(stamp["token"])
        checks["timestamp.tsr is the stamp that was recorded"] = content("timestamp.tsr") == recorded
        checks["tsa-roots.pem is here"] = Path("tsa-roots.pem").exists()
    return checks


def of_certificate(signature: Any) -> Dict[str, bool]:
    """Compare the files of a signature by certificate, and whom the certificate names."""
    between = range(1, len(signature["certificates"]) - 1)
    names = ["signer.pem", *(f"authority-{number}.pem" for number in between), "anchor.pem"]
    proofs = {}
    for number, proof in enumerate(signature["revocation"], start=1):
        name = proof_name(number, proof)
        if proof["kind"] == "crl":
            proofs[name] = sha256(from_hex(of_pem(name, "X509 CRL"))).hex() == proof["sha256"]
        else:
            proofs[name] = content(name) == from_base64(proof["content"])
    person = signer()
    certificates = [from_hex(one) for one in signature["certificates"]]
    people, numbers = named_in(certificates[0])
    key = from_hex(of_pem("signer-key.pem", "PUBLIC KEY"))
    return {
        "signature.bin is the signature that was recorded": content("signature.bin").hex() == signature["signature"],
        f"{', '.join(names)} are the certificates that were recorded": (
            [of_pem(name, "CERTIFICATE") for name in names] == signature["certificates"]
        ),
        "signer-key.pem is the key of signer.pem": (
            list(parts_of(key)) == [(0x30, fields_of(certificates[0])[5])] and key in certificates[0]
        ),
        "authorities are above no more others than they say": is_path(certificates),
        **{f"{name} is what was recorded": good for name, good in proofs.items()},
        "the certificate names the person who must have signed document.json": (
            [plain(one) for one in people] == [plain(person["name"])] != [""]
            and len(numbers) == 1
            and same_number(numbers[0], person["id_number"])
        ),
    }


def of_witness(signature: Any) -> Dict[str, bool]:
    """Compare the files of a clerk who witnessed a signature by hand, what the clerk spoke of, and whose key it is."""
    said = written(content("witness.json"))
    image = image_among([one.name for one in Path().iterdir()], content)
    document = written(content("document.json"))
    key, proposed = disclosed("staff-key.disclosure.json", "key")
    life = {}
    for what, kind in KEY_LIFE.items():
        name = f"staff-key-{what}.tlog-proof"
        if what == "enrolled" or Path(name).exists():
            entry = proved(content(name).decode())
            before = entry["at"] <= said["witnessed_at"]
            life[f"the key was {'enrolled before' if what == 'enrolled' else 'not revoked before'} the statement"] = (
                entry["kind"] == kind and entry["record"] == proposed["record"] and before == (what == "enrolled")
            )
    return {
        "signature.bin is the signature that was recorded": content("signature.bin").hex() == signature["signature"],
        "witness.json is the statement that was recorded": content("witness.json").decode() == signature["statement"],
        "signer-key.pem is the key that was recorded": of_pem("signer-key.pem", "PUBLIC KEY")
        == signature["public_key"],
        "the clerk's statement is of document.json": said["document_digest"] == digest_of("document.json").hex(),
        f"the clerk's statement is of {image}": said["handwriting_digest"] == digest_of(image).hex(),
        "the clerk witnessed while document.json could be signed": (
            moment(document["prepared_at"]) <= moment(said["witnessed_at"]) <= moment(document["expires_at"])
        ),
        "the key is enrolled as this clerk's": (
            proposed["kind"] == "StaffKeyProposed"
            and proposed["record"] == signature["staff_key"]
            and key["public_key"] == signature["public_key"]
            and (key["person"], key["unit"]) == (said["clerk"], said["unit"])
        ),
        **life,
    }


def of_platform(signature: Any) -> Dict[str, bool]:
    """Compare the files of a platform's assertion, and of which document and whom it is."""
    jws = content("assertion.jws").decode("ascii")
    head, body, signed = jws.split(".")
    raw, claims = from_url(signed), parsed(from_url(body))
    if parsed(from_url(head))["alg"] == "ES256":
        raw = der_of(raw[:32], raw[32:])
    person = signer()
    return {
        "assertion.jws is the assertion that was recorded": jws == signature["jws"],
        "assertion.txt is what the assertion's signature covers": content("assertion.txt").decode() == f"{head}.{body}",
        "signature.bin is the assertion's signature": content("signature.bin") == raw,
        "signer-key.pem is the key that was recorded": of_pem("signer-key.pem", "PUBLIC KEY")
        == signature["public_key"],
        "the platform's assertion is of document.json": claims["nonce"] == to_url(digest_of("document.json")),
        "the platform names the person who must have signed document.json": (
            plain(claims["name"]) == plain(person["name"]) != ""
            and claims["id_number_digest"] == to_url(sha256(person["id_number"].encode()))
        ),
    }


def moment(text: str) -> datetime:
    """Read a time with its zone (RFC 3339); Python 3.6 reads zones without their colon only."""
    text = text.replace("Z", "+00:00")
    form = "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z"
    return datetime.strptime(text[:-6] + text[-6:].replace(":", ""), form)


def der_of(*numbers: bytes) -> bytes:
    """Write the two numbers of an ECDSA signature as DER."""
    values = [number.lstrip(b"\x00") or b"\x00" for number in numbers]
    signed = [b"\x00" + value if value[0] & 0x80 else value for value in values]
    body = b"".join(b"\x02" + bytes([len(value)]) + value for value in signed)
    return b"\x30" + bytes([len(body)]) + body


def signer() -> Any:
    """Give who must have signed: the agent where one acts, else the applicant."""
    document = written(content("document.json"))
    return document.get("proxy") or document["applicant"]


def everything() -> Tuple[Dict[str, bool], List[str], str]:
    """Check everything; give what holds and what does not, what is to be told, and the key of the log.

    Whatever it raises says that a file is missing, malformed, or proves nothing.
    """
    entry = proved(content("recorded.tlog-proof").decode())
    signature, recorded = disclosed("recorded.disclosure.json", "signature")
    document, prepared = disclosed("prepared.disclosure.json", "document")
    vkey, of_log = log_key()
    others, beside = others_here(signature)
    story, told = of_story(entry, prepared, document["verification"])
    return (
        {
            "every file here is one of this pack" + (f", but not {', '.join(others)}" if others else ""): not others,
            "the receipt's entry is entry.json": canonical(entry) == content("entry.json"),
            "the signature was recorded by this entry": recorded == entry and entry["kind"] == "CommitmentRecorded",
            "the document is of the same commitment": (
                prepared["record"] == entry["record"] and prepared["kind"] == "CommitmentPrepared"
            ),
            "the entry commits to signature.json": canonical(signature) == content("signature.json"),
            "the first entry commits to document.json": canonical(document) == content("document.json"),
            "the signature is of document.json": signature["document_digest"] == digest_of("document.json").hex(),
            **same_files(signature),
            **of_log,
            **story,
        },
        [*told, f"NOT CHECKED, for no pack has such files: {', '.join(beside)}"] if beside else told,
        vkey,
    )


def tell(line: str) -> None:
    """Print a line; what the terminal cannot show is escaped, too."""
    encoding = sys.stdout.encoding or "ascii"
    print(printable(line).encode(encoding, "backslashreplace").decode(encoding))


def printable(text: str) -> str:
    """Escape what is no sign: a name in a forged pack could move the cursor, and write over what was told of it."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def main() -> int:
    """Tell what was checked; the exit status is 1 if anything is wrong."""
    try:
        checks, told, vkey = everything()
    except Exception as error:  # forged files can make anything fail, such as by JSON that is nested too deeply
        tell(f"FAILED {type(error).__name__}: {error}")
        return 1
    for name, good in checks.items():
        tell(f"{'ok    ' if good else 'FAILED'} {name}")
    for line in told:
        tell(line)
    tell(f"Compare with the key that the log publishes (log.pub, or key-history where its key has changed): {vkey}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
