"""What the README of a pack tells to do: it succeeds with every usual kind of authority, and fails for forged packs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509 import ocsp

import gateway
from gateway.evidence_pack.archive import MANIFEST, write_archive
from gateway.evidence_pack.check import OF_STORY
from gateway.founding import House
from gateway.pki import public_key_pem
from ledger.canonical import Json, canonical
from tests.gateway.signatures.authorities import Issuer, p256, person, public_key_info, sign
from tests.gateway.signatures.test_accepting import answering
from tests.ledger.anchors.tsa import OPENSSL

from .conftest import NUMBER, run_town
from .test_evidence_pack import checked, failed, follow_the_readme, packed, unpacked
from .test_signatures import DAY, Evidence, Signing, by_certificate, pem

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")
NONE = timedelta(0)
_SALT = bytes(range(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """Who tells of revocations of whom in a chain of authorities below the root."""

    between: int = 1
    """Authorities between the root and the signer."""
    asked: frozenset[int] = frozenset()
    """Whose certificates are asked about by OCSP, 0 being the signer's; lists tell of the others."""
    ahead: timedelta = NONE
    """How much the authority's clock is ahead."""
    anchor: int = 0
    """Which authority is the anchor, 0 being the root."""
    delegated: bool = False
    """Whether a responder that the authority certified answers."""


HOUSES = {
    "the signer by OCSP, the authority by a list": Pki(asked=frozenset({0})),
    "the signer by a list, the authority by OCSP": Pki(asked=frozenset({1})),
    "both by OCSP": Pki(asked=frozenset({0, 1})),
    "both by OCSP, from responders": Pki(asked=frozenset({0, 1}), delegated=True),
    "both by lists": Pki(),
    "lists dated three minutes ahead": Pki(ahead=timedelta(minutes=3)),
    "two authorities, by lists": Pki(between=2),
    "two authorities, by OCSP": Pki(between=2, asked=frozenset({0, 1, 2})),
    "an anchor below another authority": Pki(between=2, anchor=1),
}


def authorities(signing: Signing, house: Pki) -> list[Issuer]:
    """Found the authorities, from the root down to the one that certifies people."""
    found = [signing.root]
    for number in range(house.between):
        below = found[-1].authority(
            p256(), name=f"authority {number}", path_length=None, starts=signing.now - DAY, ends=signing.now + DAY
        )
        found.append(below)
    return found


def answers(signing: Signing, above: Sequence[Issuer], house: Pki) -> object:
    """Answer as the authority that is asked about, by itself or by its responder."""
    by_key = {_key_hash(one): one for one in above}

    def answer(_path: str, body: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(body)
        issuer = by_key[asked.issuer_key_hash]
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash, issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number, algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.GOOD, this_update=signing.now, next_update=signing.now + DAY,
            revocation_time=None, revocation_reason=None,
        )  # fmt: skip
        if not house.delegated:
            return issuer.answer(builder, certified=False)
        key = p256()
        purpose = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING])
        made = issuer.issue(
            key, subject=person("responder", "1"), starts=signing.now - DAY, ends=signing.now + DAY,
            extensions=[(purpose, False), (x509.OCSPNoCheck(), False)],
        )  # fmt: skip
        return Issuer(certificate=made, key=key).answer(builder, certified=True)

    return answer


def _key_hash(issuer: Issuer) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(issuer.parsed, issuer.parsed, hashes.SHA1())
    return builder.build().issuer_key_hash


@pytest.mark.parametrize("house", HOUSES.values(), ids=HOUSES.keys())
async def test_the_recipe_holds_whoever_tells_of_revocations(tmp_path: Path, house: Pki) -> None:
    signing = Signing()
    above = authorities(signing, house)

    with answering(answers(signing, above, house)) as (address, _):  # type: ignore[arg-type]

        def configure(founded: House) -> None:
            signing.configure(founded)
            signers = founded.home / "signers"
            for one in (signers / "revocation").iterdir():
                one.unlink()
            for number, issuer in enumerate(reversed(above)):
                if number not in house.asked:
                    content = issuer.list_revoked({}, at=signing.now + house.ahead, until=signing.now + DAY)
                    (signers / "revocation" / f"{number}.crl").write_bytes(content)
            (signers / "roots.pem").write_bytes(pem("CERTIFICATE", above[house.anchor].certificate))
            text = founded.config.read_text("utf-8").replace("# ocsp_url", f'ocsp_url = "{address}"\n#', 1)
            founded.config.write_text(text, "utf-8")

        async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", configure):
            _, pack = await packed(town, "办-1", signer(signing, above[house.anchor :]))

            assert failed(town, pack) == {}
            commands = follow_the_readme(tmp_path / "pack", pack)
            told = [one for one in commands if "-crl_check" in one or "openssl ocsp" in one]
            assert len(told) == house.between + 1 - house.anchor
            assert sum("openssl ocsp" in one for one in told) == len(house.asked)


SPELLED = [
    ("示例\U000e0100甲", NUMBER),
    ("示 例\u200b甲", "230199-19800101-0072"),
    ("示例\u2003甲", "230199 19800101 0072"),
    ("示例甲", "230199800101007"),
]


async def test_the_recipe_holds_however_a_certificate_spells_the_person(tmp_path: Path) -> None:
    signing, key = Signing(), p256()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        for case, (name, number) in enumerate(SPELLED):
            certificate = signing.certificate(key, subject=person(name, number))
            _, pack = await packed(
                town, f"办-{case}", lambda content, one=certificate: by_certificate(key, content, one)
            )  # type: ignore[misc]
            assert failed(town, pack) == {}
            follow_the_readme(tmp_path / str(case), pack)


def signer(signing: Signing, above: Sequence[Issuer] = ()) -> Callable[[bytes], Evidence]:
    """Sign as somebody whom the last of some authorities certified, or the root; the first is the anchor."""
    key = p256()
    certificate = signing.certificate(key, above[-1] if above else None)
    chain = [one.certificate for one in reversed(above[1:])]
    return lambda content: by_certificate(key, content, certificate, *chain)


def rewritten(files: Mapping[str, bytes], changes: Mapping[str, bytes]) -> bytes:
    return write_archive({name: content for name, content in {**files, **changes}.items() if name != MANIFEST})


def refused(folder: Path, pack: bytes) -> str:
    """Follow the README of a pack, and give the command that failed."""
    with pytest.raises(AssertionError) as told:
        follow_the_readme(folder, pack)
    return str(told.value)


async def test_the_recipe_refuses_the_files_of_another_signer(tmp_path: Path) -> None:
    signing = Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        other = p256()
        _, pack = await packed(town, "办-1", signer(signing))
        files = unpacked(pack)
        certificate = signing.certificate(other, subject=person("张三"))
        forged = {
            "signer.pem": pem("CERTIFICATE", certificate),
            "signer-key.pem": public_key_pem(public_key_info(other)),
            "signature.bin": sign(other, files["document.json"])[1],
        }

        assert "check.py" in refused(tmp_path / "signer", rewritten(files, forged))
        assert failed(town, rewritten(files, forged)).keys() >= {"files", "signature"}


async def test_the_recipe_refuses_a_log_of_another_key(tmp_path: Path) -> None:
    signing = Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        _, pack = await packed(town, "办-1", signer(signing))
        files = _untold(unpacked(pack))
        forged = _forged_log(files, signing)

        assert "check.py" in refused(tmp_path / "log", rewritten(files, forged))
        assert "receipt" in failed(town, rewritten(files, forged))
        # With a history of its own, the forged log is one by itself, and its key is told: it is not the published one.
        whole = {**forged, **_forged_history(files, forged)}
        follow_the_readme(tmp_path / "whole", rewritten(files, whole))
        assert "receipt" in failed(town, rewritten(files, whole))


@pytest.mark.parametrize(
    "forged",
    [
        {"salt": _SALT[:31]},
        {"salt": _SALT + b" "},
        {"groups": ("eligibility", "signature")},
        {"groups": ("document", "facts")},
    ],
    ids=str,
)
async def test_the_recipe_refuses_what_is_disclosed_of_another_group_or_with_a_salt_of_another_length(
    tmp_path: Path, forged: Mapping[str, Any]
) -> None:
    signing = Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        _, pack = await packed(town, "办-1", signer(signing))
        files = _untold(unpacked(pack))
        ours, theirs = (_forged_log(files, signing, **options) for options in ({}, forged))
        follow_the_readme(tmp_path / "ours", rewritten(files, {**ours, **_forged_history(files, ours)}))
        whole = rewritten(files, {**theirs, **_forged_history(files, theirs)})
        assert "of another group, or its salt is none" in refused(tmp_path / "theirs", whole)


async def test_the_recipe_refuses_a_pem_file_in_which_openssl_sees_another_key(tmp_path: Path) -> None:
    signing = Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        _, pack = await packed(town, "办-1", signer(signing))
        files = _untold(unpacked(pack))
        forged = _forged_log(files, signing)
        theirs, published = forged["log-key.pem"], files["log-key.pem"]
        key = base64.b64decode(files["log.vkey"].decode().strip().split("+", 2)[2])[1:]  # base64 has a plus too
        info = _der(theirs)
        for number, log_key in enumerate(
            (
                public_key_pem(info + key),  # openssl passes over what is behind a key
                public_key_pem(info + _der(published)),
                theirs + published,  # and takes the first of two
                theirs.replace(b"\n", b"\r\n") + published,
                theirs.replace(b"-----\n", b"----- \n") + published,
                theirs.replace(b"\n", b" \n") + published,
            )
        ):
            whole = rewritten(files, {**forged, "log-key.pem": log_key})
            assert re.search("check.py.*FAILED.*log-key.pem", refused(tmp_path / str(number), whole))
            assert failed(town, whole).keys() >= {"receipt", "files"}


async def test_the_recipe_refuses_every_other_spelling_of_a_pem_file(tmp_path: Path) -> None:
    signing = Signing()
    between = signing.root.authority(p256(), starts=signing.now - DAY, ends=signing.now + DAY)
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        lists = town.house.home / "signers" / "revocation"
        (lists / "between.crl").write_bytes(between.list_revoked({}, at=signing.now, until=signing.now + DAY))
        _, pack = await packed(town, "办-1", signer(signing, [signing.root, between]))
        files = unpacked(pack)
        names = sorted(name for name in files if name.endswith(".pem"))
        assert len(names) == 7
        number = 0
        for name in names:
            label = files[name].split(b"-----")[1].removeprefix(b"BEGIN ").decode()
            for other in (
                files[name] + files[name],
                b"read this first\n" + files[name],
                pem(label, _der(files[name]) + b"\x00"),
                files["signer.pem" if name == "anchor.pem" else "anchor.pem"] + files[name],
            ):
                number += 1
                assert refused(tmp_path / str(number), rewritten(files, {name: other}))
                assert "files" in failed(town, rewritten(files, {name: other}))
        # What one file gives, the next may not take: openssl is told which file to believe.
        moved = {"signer.pem": files["signer.pem"] + files["authority-1.pem"], "authority-1.pem": b""}
        assert refused(tmp_path / "moved", rewritten(files, moved))


async def test_files_for_reading_that_are_not_ours_are_told_and_prove_nothing(tmp_path: Path) -> None:
    signing = Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        _, pack = await packed(town, "办-1", signer(signing))
        files = unpacked(pack)
        assert checked(town, pack).told["not checked"] == "letter.pdf"
        changed = {"document.txt": "全部内容均为伪造".encode(), "check.py": b"import sys; sys.exit(0)\n"}
        report = checked(town, rewritten(files, changed))
        assert report.failures == ()
        assert report.told["not checked"] == "check.py, document.txt, letter.pdf"
        for name in ("README.md", "README.zh-CN.md"):
            readme = files[name].decode()
            assert "not checked" in readme
            for path in re.findall(r"gateway/[\w./-]+\w", readme):
                assert (Path(gateway.__file__).parents[1] / path).is_file()


async def test_a_list_that_is_not_about_the_pack_is_no_reassurance(tmp_path: Path) -> None:
    signing, stranger = Signing(), Signing()
    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        _, pack = await packed(town, "办-1", signer(signing))
        later = signing.now + timedelta(hours=1)

        unrelated = stranger.root.list_revoked({}, at=later, until=later + DAY)
        assert failed(town, pack, lists=(unrelated,)) == {
            "revocation": "a list that was given says nothing about the certificates of this pack"
        }


def _untold(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Leave out what became of the commitment and what it rests on, as whoever forges a log of two entries must."""
    return {name: content for name, content in files.items() if name not in OF_STORY}


def _forged_log(
    files: Mapping[str, bytes],
    signing: Signing,
    *,
    salt: bytes = _SALT,
    groups: tuple[str, str] = ("document", "signature"),
) -> dict[str, bytes]:
    """Write the same act with another address in a log of two entries, signed with a key of one's own."""
    log, key = ed25519.Ed25519PrivateKey.generate(), p256()
    document = json.loads(files["document.json"])
    document["facts"][0]["value"] = "伪造路99号"
    signature = json.loads(files["signature.json"])
    signature["document_digest"] = hashlib.sha256(canonical(document)).hexdigest()
    certificate = signing.certificate(key)
    signature["certificates"][0] = certificate.hex()
    signature["signature"] = sign(key, canonical(document))[1].hex()
    opened = {name: json.loads(files[f"{name}.disclosure.json"]) for name in ("prepared", "recorded")}
    first = _entry_of(opened["prepared"], groups[0], document, salt)
    last = _entry_of(opened["recorded"], groups[1], signature, salt)
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in (first, last)]
    root = base64.b64encode(hashlib.sha256(b"\x01" + b"".join(leaves)).digest()).decode()
    origin = files["checkpoint.txt"].decode().split("\n")[0]
    checkpoint = f"{origin}\n2\n{root}\n"
    signed = log.sign(checkpoint.encode())
    number = hashlib.sha256(f"{origin}\n".encode() + b"\x01" + log.public_key().public_bytes_raw()).digest()[:4]

    def receipt(entry: bytes, index: int) -> str:
        lines = (f"extra {base64.b64encode(entry).decode()}", f"index {index}")
        proof = base64.b64encode(leaves[1 - index]).decode()
        line = f"— {origin} {base64.b64encode(number + signed).decode()}"
        return "\n".join(("c2sp.org/tlog-proof@v1", *lines, proof, "", checkpoint, line)) + "\n"

    def disclosure(name: str, entry: bytes, index: int, value: Json) -> bytes:
        told = {"receipt": receipt(entry, index), "salt": salt.hex(), "value": value, "group": groups[index]}
        return canonical({**opened[name], **told})

    return {
        "document.json": canonical(document),
        "signature.json": canonical(signature),
        "entry.json": last,
        "recorded.tlog-proof": receipt(last, 1).encode(),
        "recorded.disclosure.json": disclosure("recorded", last, 1, signature),
        "prepared.disclosure.json": disclosure("prepared", first, 0, document),
        "checkpoint.txt": checkpoint.encode(),
        "checkpoint.sig": signed,
        "log-key.pem": public_key_pem(public_key_info(log)),
        "signer.pem": pem("CERTIFICATE", certificate),
        "signer-key.pem": public_key_pem(public_key_info(key)),
        "signature.bin": bytes.fromhex(signature["signature"]),
    }


def _der(content: bytes) -> bytes:
    return base64.b64decode(b"".join(content.split(b"\n")[1:-2]))


def _entry_of(opened: Mapping[str, str], group: str, value: Json, salt: bytes) -> bytes:
    entry = json.loads(base64.b64decode(opened["receipt"].split("\n")[1].removeprefix("extra ")))
    domain = b"chengxin/ledger/v1/commit\x00" + group.encode() + b"\x00"
    entry["commits"] = {group: hashlib.sha256(domain + salt + canonical(value)).hexdigest()}
    return canonical(entry)


def _forged_history(files: Mapping[str, bytes], forged: Mapping[str, bytes]) -> dict[str, bytes]:
    origin = files["checkpoint.txt"].decode().split("\n")[0]
    typed = b"\x01" + _der(forged["log-key.pem"])[-32:]
    number = hashlib.sha256(origin.encode() + b"\n" + typed).hexdigest()[:8]
    vkey = f"{origin}+{number}+{base64.b64encode(typed).decode()}"
    return {
        "log.vkey": f"{vkey}\n".encode(),
        "log.history": f"chengxin key history v1\n{origin}\n\n0- {vkey}\n\n".encode(),
    }
