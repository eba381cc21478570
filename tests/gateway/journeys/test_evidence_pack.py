"""Evidence packs of real commitments: verified offline by us, by openssl and plain Python, and refused when altered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import uuid
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp

from gateway.cli import cli
from gateway.evidence_pack.archive import MANIFEST, NotAPack, manifest, pack_together, read_archive, write_archive
from gateway.evidence_pack.checking import Believed, Report, check_pack
from gateway.founding import House
from gateway.signatures.certificates import parse_certificate
from gateway.v1 import commitment_pb2 as pb
from tests.gateway.signatures.authorities import Key, Sm2Key, p256, root
from tests.gateway.signatures.test_accepting import answering
from tests.gateway.signatures.test_lists import revoking
from tests.ledger.anchors.tsa import OPENSSL, found_authority, granting, serving

from .conftest import TIMEOUT, Town, operator, question, run_town
from .test_commitment_lists import town_document
from .test_refusals import refusal
from .test_signatures import Evidence, Signing, asserted, by_certificate, record

KEYS: dict[str, Callable[[], Key]] = {
    "P-256": p256,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 3072),
}
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")


@pytest.fixture
def signing() -> Signing:
    return Signing()


@pytest.fixture
async def stamped_town(tmp_path: Path, signing: Signing) -> AsyncIterator[Town]:
    """A town that looks at revocations and has every signature time-stamped, by a real authority."""
    authority = found_authority(tmp_path / "tsa")
    with serving(granting(authority)) as url:

        def configure(house: House) -> None:
            signing.configure(house)
            settings = f'[signatures.timestamps]\ntsa_url = "{url}"\ntsa_root_file = "{authority.root}"\n'
            text = house.config.read_text("utf-8").replace("# [signatures.timestamps]", f"{settings}#", 1)
            house.config.write_text(text, "utf-8")

        async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", configure):
            yield here


async def prepare(town: Town, case: str) -> pb.PrepareCommitmentResponse:
    answer = await town.verification().Verify(question(case), timeout=TIMEOUT)
    asked = pb.PrepareCommitmentRequest(
        request_id=str(uuid.uuid4()), verification=answer.verification.record, operator=operator("clerk")
    )
    return await town.commitment().PrepareCommitment(asked, timeout=TIMEOUT)


async def packed(town: Town, case: str, sign: Callable[[bytes], Evidence]) -> tuple[str, bytes]:
    """Record a commitment and get its pack."""
    document = await prepare(town, case)
    await record(town, document, sign(document.document))
    answer = await town.commitment().GetEvidencePack(pb.GetEvidencePackRequest(record=document.record), timeout=TIMEOUT)
    return document.record, answer.pack


def unpacked(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(town: Town, pack: bytes, **believed: object) -> Report:
    return check_pack(pack, Believed(vkey=town.house.vkey.read_text().strip(), **believed))  # type: ignore[arg-type]


def failed(town: Town, pack: bytes, **believed: object) -> dict[str, str]:
    return {check.name: check.failure for check in checked(town, pack, **believed).failures}


def follow_the_readme(folder: Path, pack: bytes, name: str = "README.md") -> list[str]:
    """Do what the README in a pack says, on a machine without this project; every command must succeed."""
    folder.mkdir()
    for file, content in unpacked(pack).items():
        (folder / file).write_bytes(content)
    block = re.search(r"```sh\n(.*?)```", (folder / name).read_text("utf-8"), re.S)
    assert block is not None
    commands = [line for line in block[1].splitlines() if line and not line.startswith("#")]
    bare = folder.with_suffix(".bin")
    bare.mkdir()
    (bare / "python3").symlink_to(sys.executable)
    for command in commands:
        done = subprocess.run(
            ["sh", "-e", "-c", command], check=False, cwd=folder, capture_output=True, text=True, timeout=60,
            env={"PATH": f"{bare}:/usr/bin:/bin", "PYTHONNOUSERSITE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "FAILED" not in done.stdout
    return commands


async def test_a_pack_of_every_algorithm_verifies_by_us_and_by_following_its_readme(
    stamped_town: Town, signing: Signing, tmp_path: Path
) -> None:
    for case, make in KEYS.items():
        key = make()
        _, pack = await packed(
            stamped_town, case, lambda content, k=key: by_certificate(k, content, signing.certificate(k))  # type: ignore[misc]
        )  # fmt: skip

        report = checked(stamped_town, pack)
        assert report.failures == ()
        found = x509.load_pem_x509_certificates(unpacked(pack)["tsa-roots.pem"])
        told = [one.fingerprint(hashes.SHA256()).hex() for one in found]
        assert report.told["timestamp_roots_sha256"] == ", ".join(told)
        assert [check.name for check in report.checks][-4:] == ["revocation", "time stamp", "life", "foundation"]
        commands = follow_the_readme(tmp_path / case, pack)
        assert [command.split()[:2] for command in commands] == [
            ["sha256sum", "-c"], ["openssl", "verify"], ["openssl", "x509"], ["openssl", "verify"],
            ["openssl", "pkeyutl" if case == "Ed25519" else "dgst"], ["cat", "document.json"], ["openssl", "pkeyutl"],
            ["python3", "-I"],
        ]  # fmt: skip
    follow_the_readme(tmp_path / "chinese", pack, "README.zh-CN.md")


async def test_a_pack_with_intermediate_and_sm2_and_platform_verifies_too(
    stamped_town: Town, signing: Signing, tmp_path: Path
) -> None:
    between = signing.root.authority(p256(), starts=signing.now - HOUR, ends=signing.now + HOUR)
    lists = stamped_town.house.home / "signers" / "revocation"
    (lists / "between.crl").write_bytes(between.list_revoked({}, at=signing.now, until=signing.now + HOUR))
    below, mixed = (
        above.authority(made, name=name, starts=signing.now - HOUR, ends=signing.now + HOUR)
        for above, made, name in ((signing.sm2, Sm2Key(), "below"), (signing.root, Sm2Key(), "mixed"))
    )
    for one in (below, mixed):
        name = f"{one.parsed.subject.rfc4514_string()}.crl"
        (lists / name).write_bytes(one.list_revoked({}, at=signing.now, until=signing.now + HOUR))
    key, sm2 = p256(), Sm2Key()
    ways: Mapping[str, Callable[[bytes], Evidence]] = {
        "intermediate": lambda content: by_certificate(
            key, content, signing.certificate(key, between), between.certificate
        ),
        "sm2": lambda content: by_certificate(sm2, content, signing.certificate(sm2, signing.sm2)),
        "sm2 intermediate": lambda content: by_certificate(
            sm2, content, signing.certificate(sm2, below), below.certificate
        ),
        "sm2 intermediate of another root": lambda content: by_certificate(
            key, content, signing.certificate(key, mixed), mixed.certificate
        ),
        "sm2 of another root": lambda content: by_certificate(sm2, content, signing.certificate(sm2)),
        "another of an sm2 root": lambda content: by_certificate(key, content, signing.certificate(key, signing.sm2)),
        "platform": asserted,
    }
    for case, sign in ways.items():
        _, pack = await packed(stamped_town, case, sign)
        assert failed(stamped_town, pack) == {}
        follow_the_readme(tmp_path / case, pack)


async def test_the_same_commitment_gives_the_same_files_but_for_a_newer_checkpoint_and_no_letter_by_command(
    stamped_town: Town, signing: Signing, tmp_path: Path
) -> None:
    key = p256()
    name, pack = await packed(
        stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key))
    )
    again = await stamped_town.commitment().GetEvidencePack(pb.GetEvidencePackRequest(record=name), timeout=TIMEOUT)
    out, config = tmp_path / "pack.zip", str(stamped_town.house.config)
    out.write_bytes(bytes(1 << 20))
    out.chmod(0o644)
    runner = CliRunner()

    exported = runner.invoke(cli, ["evidence", "export", "--config", config, "--json", "--out", str(out), name])
    told = runner.invoke(cli, ["evidence", "verify", str(out), "--vkey", str(stamped_town.house.vkey)])

    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.output)["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    first, by_call, by_command = unpacked(pack), unpacked(again.pack), unpacked(out.read_bytes())
    newer = {
        MANIFEST,
        "letter.pdf",
        "checkpoint.txt",
        "checkpoint.sig",
        *(name for name in first if b"tlog-proof@v1" in first[name]),
    }
    assert {name for name in first if first[name] != by_call[name]} <= newer  # that a pack was handed out is an entry
    assert by_call.pop("letter.pdf").startswith(b"%PDF")
    assert by_call.keys() == by_command.keys()
    assert {name for name in by_call if by_call[name] != by_command[name]} <= newer
    assert out.stat().st_mode & 0o077 == 0
    assert told.exit_code == 0, told.output
    assert told.output.count("ok     ") == 12
    assert f"record: {name}" in told.output
    out.write_bytes(pack.replace(b"SIGNATURE", b"SIGNATURF", 1).replace(b'"version":1', b'"version":2', 1))
    bad = runner.invoke(cli, ["evidence", "verify", str(out), "--vkey", str(stamped_town.house.vkey), "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.output)["ok"] is False


async def test_a_pack_that_is_handed_out_is_recorded_and_one_that_is_refused_is_not(
    stamped_town: Town, signing: Signing
) -> None:
    key = p256()
    name, pack = await packed(
        stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key))
    )
    other = stamped_town.commitment("civil-clerk")
    await refusal(other.GetEvidencePack(pb.GetEvidencePackRequest(record=name), timeout=TIMEOUT))

    document = await town_document(stamped_town, "CommitmentsExported")

    assert document["selection"] == {"record": name}
    assert document["file"] == {"format": "EVIDENCE_PACK", "rows": 1, "sha256": hashlib.sha256(pack).hexdigest()}
    caller = document["caller"]
    assert isinstance(caller, dict)
    assert caller["unit"] == operator("clerk").unit
    assert caller["system"].startswith("spiffe://")


async def test_a_pack_holds_the_list_that_was_used_however_long_it_is(
    stamped_town: Town, signing: Signing, tmp_path: Path
) -> None:
    lists = stamped_town.house.home / "signers" / "revocation"
    content = revoking(50_000, signing.root, serial=1, at=signing.now)
    assert len(content) < 2 << 20 < len(content) * 4 // 3
    (lists / "root.crl").write_bytes(content)
    key, out = p256(), tmp_path / "pack.zip"
    document = await prepare(stamped_town, "办-1")
    await record(stamped_town, document, by_certificate(key, document.document, signing.certificate(key)))
    arguments = ["evidence", "export", "--config", str(stamped_town.house.config), "--out", str(out), document.record]
    stub = stamped_town.commitment()
    code, reason, _ = await refusal(
        stub.GetEvidencePack(pb.GetEvidencePackRequest(record=document.record), timeout=TIMEOUT)
    )
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PACK_TOO_LARGE")
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert failed(stamped_town, out.read_bytes()) == {}
    follow_the_readme(tmp_path / "long", out.read_bytes())
    text = unpacked(out.read_bytes())["document.txt"].decode()
    assert "未签署" not in text
    assert "已签署并记入台账" in text


async def test_a_pack_is_exported_with_the_roots_of_its_own_stamp_whatever_authority_came_later(
    stamped_town: Town, signing: Signing, tmp_path: Path
) -> None:
    key, house, out = p256(), stamped_town.house, tmp_path / "pack.zip"
    name, pack = await packed(
        stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key))
    )
    roots, written = unpacked(pack)["tsa-roots.pem"], house.config.read_text("utf-8")
    other = found_authority(tmp_path / "other")
    section = re.compile(r'\[signatures\.timestamps\]\ntsa_url = .*\ntsa_root_file = "(.*)"\n')
    found = section.search(written)
    assert found is not None

    def exported(text: str) -> bytes | None:
        house.config.write_text(text, "utf-8")
        arguments = ["evidence", "export", "--config", str(house.config), "--out", str(out), name]
        done = CliRunner().invoke(cli, arguments)
        if done.exception is not None:
            assert "root certificates" in str(done.exception)
            return None
        assert failed(stamped_town, out.read_bytes()) == {}
        return unpacked(out.read_bytes())["tsa-roots.pem"]

    changed, off = written.replace(found[1], str(other.root)), section.sub("", written)
    assert [exported(text) for text in (written, changed, off)] == [roots] * 3
    follow_the_readme(tmp_path / "off", out.read_bytes())
    for kept in (house.home / "signers" / "kept").glob("*.tsa-roots.pem"):
        kept.write_bytes(b"junk")
    assert [exported(text) for text in (written, changed, off)] == [roots, None, None]


async def test_every_altered_part_is_named(stamped_town: Town, signing: Signing, tmp_path: Path) -> None:
    key, other = p256(), p256()
    _, pack = await packed(stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key)))
    _, pack_of_other = await packed(
        stamped_town, "办-2", lambda content: by_certificate(other, content, signing.certificate(other))
    )
    files, others = unpacked(pack), unpacked(pack_of_other)
    of_each = {
        "document.json": {"recorded document", "document", "signature", "time stamp", "foundation"},
        "signature.json": {
            "receipt",
            "recorded evidence",
            "document",
            "files",
            "signature",
            "revocation",
            "time stamp",
        },
        "signature.bin": {"files", "signature", "time stamp"},
        "entry.json": {"receipt"},
        "recorded.tlog-proof": {
            "receipt",
            "recorded evidence",
            "recorded document",
            "files",
            "life",
            "foundation",
        },
        "recorded.disclosure.json": {"recorded evidence"},
        "prepared.disclosure.json": {"recorded document", "life", "foundation"},
        "story.json": {"life", "foundation"},
        "answer.disclosure.json": {"foundation"},
        "eligibility.disclosure.json": {"foundation"},
        "signer.pem": {"files"},
        "timestamp.tsr": {"files", "time stamp"},
    }

    def rewritten(changes: Mapping[str, bytes]) -> bytes:
        return write_archive({name: content for name, content in {**files, **changes}.items() if name != MANIFEST})

    for name, allowed in of_each.items():
        found = failed(stamped_town, rewritten({name: others[name]}))
        assert found, name
        assert set(found) <= allowed, (name, found)
        assert set(failed(stamped_town, rewritten({name: b"junk"}))), name
        without = write_archive({one: content for one, content in files.items() if one not in (MANIFEST, name)})
        assert any(name in reason for reason in failed(stamped_town, without).values()), name
    stale = {**files, "document.txt": b"another text"}
    assert failed(stamped_town, pack_together(stale)) == {"manifest": "document.txt was altered"}
    for more in ("more.txt", "document-signed.json", "authority-1.pem", "timestamp-2.tsr", "handwriting.png"):
        told = {"files": f"no pack of this evidence has these: {more}"}
        assert failed(stamped_town, rewritten({more: files["signer.pem"]})) == told
    assert manifest({name: files[name] for name in files if name != MANIFEST}) == files[MANIFEST]


async def test_a_pack_with_any_byte_changed_is_refused_and_never_breaks_the_checker(
    stamped_town: Town, signing: Signing
) -> None:
    key = p256()
    _, pack = await packed(stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key)))
    files = {name: content for name, content in unpacked(pack).items() if name != MANIFEST}
    only_for_reading = {
        "README.md", "README.zh-CN.md", "document.txt", "letter.pdf", "check.py", "tsa-roots.pem", "log.vkey"
    }  # fmt: skip
    chance = random.Random(7)
    for _ in range(60):
        name = chance.choice(sorted(files.keys() - only_for_reading))
        content = bytearray(files[name])
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
        assert failed(stamped_town, write_archive({**files, name: bytes(content)})), name
        cut = files[name][: chance.randrange(len(content))]
        assert failed(stamped_town, write_archive({**files, name: cut})), name
        whole = bytearray(pack)
        whole[chance.randrange(len(whole))] ^= chance.randrange(1, 256)
        checked(stamped_town, bytes(whole))


async def test_whom_the_checker_believes_is_its_own_affair(stamped_town: Town, signing: Signing) -> None:
    key = p256()
    certificate = signing.certificate(key, serial=4712)
    _, pack = await packed(stamped_town, "办-1", lambda content: by_certificate(key, content, certificate))
    ours, stranger = parse_certificate(signing.root.certificate), parse_certificate(root().certificate)
    later = signing.now + HOUR

    assert failed(stamped_town, pack, anchors=(ours,)) == {}
    assert set(failed(stamped_town, pack, anchors=(stranger,))) == {"signature", "revocation"}
    after = signing.root.list_revoked({4712: later}, at=later, until=later + HOUR)
    assert failed(stamped_town, pack, lists=(after,)) == {}
    before = signing.root.list_revoked({4712: signing.now - HOUR}, at=later, until=later + HOUR)
    assert set(failed(stamped_town, pack, lists=(before,))) == {"revocation"}
    other_log = {check.name for check in check_pack(pack, Believed(vkey=OTHER_LOG)).failures}
    assert {"receipt", "recorded evidence", "recorded document"} <= other_log


OTHER_LOG = "chengxin.example/log+8f6b0e4c+AVP7cFbZ7LqQ3rBWYhGqFrvPZVdKtAnnNnq9yJ7cN8rE"


@pytest.mark.parametrize("junk", [b"", b"PK", b"junk" * 100, bytes(1000)])
def test_what_is_no_pack_is_refused_whole(junk: bytes) -> None:
    report = check_pack(junk, Believed(vkey=OTHER_LOG))
    assert [check.name for check in report.failures] == ["archive"]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "", ".hidden", "a" * 65])
def test_odd_names_and_compressed_files_are_refused(name: str) -> None:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name or "/"), b"x")
    assert [check.name for check in check_pack(target.getvalue(), Believed(vkey=OTHER_LOG)).failures] == ["archive"]
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("document.json", bytes(50 << 20))
    assert [check.name for check in check_pack(bomb.getvalue(), Believed(vkey=OTHER_LOG)).failures] == ["archive"]


def test_an_archive_is_written_as_it_always_was_so_that_every_pack_there_is_can_be_read() -> None:
    written = write_archive({"document.json": b"x", "a.txt": b"yy"})
    assert hashlib.sha256(written).hexdigest() == "2f7a030798bdf832ddfb8dc36814e8c3bda9d08fb59ba9def88eb22b445a2031"
    assert read_archive(written).keys() == {"document.json", "a.txt", MANIFEST}


def member(name: str, **changed: object) -> zipfile.ZipInfo:
    """Describe a file as packs have it, but for what is changed."""
    found = zipfile.ZipInfo(name)
    for attribute, value in {"create_system": 3, "external_attr": 0o100644 << 16, **changed}.items():
        setattr(found, attribute, value)
    return found


def archived(*members: zipfile.ZipInfo, comment: bytes = b"") -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for one in members:
            archive.writestr(one, b"x")
        archive.comment = comment
    return target.getvalue()


def other_name(of: str, name: str) -> bytes:
    """Write the extra field by which Info-ZIP takes a file to have another name (0x7075)."""
    body = b"\x01" + struct.pack("<I", zlib.crc32(of.encode())) + name.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


PLAIN = archived(member("a.txt"), member("document.json"))
OTHERWISE = {
    "a link": archived(member("a.txt"), member("document.json", external_attr=0o120777 << 16)),
    "a folder": archived(member("a.txt"), member("document.json", external_attr=0o040755 << 16)),
    "a folder of DOS": archived(member("a.txt"), member("document.json", external_attr=0o100644 << 16 | 0x10)),
    "a label of DOS": archived(member("a.txt"), member("document.json", external_attr=0x08)),
    "a program": archived(member("a.txt"), member("document.json", external_attr=0o100755 << 16)),
    "of DOS": archived(member("a.txt"), member("document.json", create_system=0)),
    "another time": archived(member("a.txt"), member("document.json", date_time=(2026, 1, 1, 0, 0, 0))),
    "another name": archived(member("a.txt"), member("document.json", extra=other_name("document.json", "z.txt"))),
    "a comment of a file": archived(member("a.txt"), member("document.json", comment=b"x")),
    "a comment": archived(member("a.txt"), member("document.json"), comment=b"x" * 100),
    "another order": archived(member("document.json"), member("a.txt")),
    "something before": b"#!/bin/sh\n" + PLAIN,
    "something behind": PLAIN + b"x",
    "another archive before": archived(member("a.txt"), member("z.txt")) + PLAIN,
    "another archive behind": PLAIN + archived(member("a.txt"), member("z.txt"))[:-22],
    "a hidden file": b"",
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_an_archive_that_others_could_unpack_otherwise_is_refused(name: str) -> None:
    assert read_archive(PLAIN) == {"a.txt": b"x", "document.json": b"x"}
    content = OTHERWISE[name]
    if name == "a hidden file":
        with zipfile.ZipFile(hidden := BytesIO(), "w") as archive:
            for one in ("a.txt", "document.json"):
                archive.writestr(member(one), b"x")
            archive.filelist = archive.filelist[1:]  # the directory does not name what comes first
        content = hidden.getvalue()
    with pytest.raises(NotAPack):
        read_archive(content)


@pytest.mark.parametrize("flag", [0x01, 0x08, 0x40, 0x800, 0x2001])
def test_files_with_flags_such_as_of_encryption_are_refused(flag: int) -> None:
    content = bytearray(PLAIN)
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(header, bytes(content)):
            content[found.start() + at] |= flag & 0xFF
            content[found.start() + at + 1] |= flag >> 8
    with pytest.raises(NotAPack):
        read_archive(bytes(content))


def test_an_archive_with_any_byte_changed_is_refused() -> None:
    for at in range(len(PLAIN)):
        changed = bytearray(PLAIN)
        changed[at] ^= 0x20
        with pytest.raises(NotAPack):
            read_archive(bytes(changed))


def test_names_that_differ_only_by_capitals_are_refused() -> None:
    with pytest.raises(NotAPack, match="a name twice"):
        read_archive(write_archive({"document.json": b"x", "Document.json": b"y"}))


async def test_a_pack_is_for_who_may_see_the_commitment_and_only_of_what_was_signed(
    stamped_town: Town, signing: Signing
) -> None:
    key = p256()
    name, pack = await packed(
        stamped_town, "办-1", lambda content: by_certificate(key, content, signing.certificate(key))
    )
    unsigned = await prepare(stamped_town, "办-2")

    async def asked(system: str, record_: str) -> tuple[grpc.StatusCode, str, list[str]]:
        stub = stamped_town.commitment(system)
        return await refusal(stub.GetEvidencePack(pb.GetEvidencePackRequest(record=record_), timeout=TIMEOUT))

    assert (await asked("civil-clerk", name))[1] == "RECORD_NOT_FOUND"
    assert (await asked("credit", name))[1] == "NOT_ENTITLED"
    assert (await asked("clerk", unsigned.record))[1] == "RECORD_NOT_FOUND"
    assert (await asked("clerk", "0" * 32))[1] == "RECORD_NOT_FOUND"
    assert (await asked("clerk", "no record"))[2] == ["record"]
    kept = stamped_town.house.home / "signers" / "kept"
    shutil.rmtree(kept)
    assert (await asked("clerk", name))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "EVIDENCE_MISSING")
    assert len(pack) < 1 << 20


async def test_a_pack_of_what_is_not_published_yet_waits_until_it_is(tmp_path: Path, signing: Signing) -> None:
    def configure(house: House) -> None:
        signing.configure(house)
        text = house.config.read_text("utf-8").replace('signing = "inline"', 'signing = "interval"', 1)
        house.config.write_text(text, "utf-8")

    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", configure):
        key = p256()
        document = await prepare(town, "办-1")
        evidence = by_certificate(key, document.document, signing.certificate(key))
        recording = asyncio.create_task(record(town, document, evidence))
        codes = set()
        asked = pb.GetEvidencePackRequest(record=document.record)
        while not recording.done():
            try:
                assert failed(town, (await town.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack) == {}
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())
        await recording
        assert codes <= {grpc.StatusCode.NOT_FOUND}  # not signed yet
        assert failed(town, (await town.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack) == {}


@pytest.mark.parametrize("kind", ["P-256", "SM2"])
async def test_an_ocsp_answer_is_in_the_pack_and_openssl_reads_it(tmp_path: Path, signing: Signing, kind: str) -> None:
    above, make = (signing.root, p256) if kind == "P-256" else (signing.sm2, Sm2Key)

    def answer(_path: str, body: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(body)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash, issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number, algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.GOOD, this_update=signing.now, next_update=signing.now + HOUR,
            revocation_time=None, revocation_reason=None,
        )  # fmt: skip
        return above.answer(builder, certified=False)

    with answering(answer) as (address, _):

        def configure(house: House) -> None:
            signing.configure(house)
            shutil.rmtree(house.home / "signers" / "revocation")
            text = house.config.read_text("utf-8").replace("# ocsp_url", f'ocsp_url = "{address}"\n#', 1)
            house.config.write_text(text, "utf-8")

        async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", configure):
            key = make()
            _, pack = await packed(
                town, "办-1", lambda content, k=key: by_certificate(k, content, signing.certificate(k, above))
            )  # type: ignore[misc]
            assert failed(town, pack) == {}
            assert "revocation-1.ocsp" in unpacked(pack)
            follow_the_readme(tmp_path / "ocsp", pack)
