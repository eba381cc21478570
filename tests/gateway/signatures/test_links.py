"""A chain that openssl is asked about link by link is refused for whatever it would be refused for as a whole."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.evidence_pack.check import is_path
from gateway.evidence_pack.collecting import certificate_names
from gateway.evidence_pack.recipe import Subject, steps
from gateway.signatures.certificates import parse_certificate
from ledger.log.algorithms.sm2 import Sm2PublicKey
from tests.gateway.journeys.test_signatures import pem
from tests.gateway.signatures.authorities import NOW, SIGNS, Issuer, Key, Sm2Key, p256, root, usage
from tests.ledger.anchors.tsa import OPENSSL

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")
DAY = timedelta(days=1)
PAST = {"starts": NOW - 9 * DAY, "ends": NOW - DAY}
NARROW = x509.NameConstraints([x509.DNSName("example.cn")], None)
KEYS: tuple[Callable[[], Key], ...] = (Sm2Key, p256)


def holds(folder: Path, *certificates: bytes) -> tuple[bool, bool]:
    """Tell whether the commands of openssl succeed for a chain of SM2 authorities, and whether check.py agrees."""
    names = certificate_names(len(certificates))
    folder.mkdir(exist_ok=True)
    for name, one in zip(names, certificates, strict=True):
        (folder / name).write_bytes(pem("CERTIFICATE", one))
    issuing = [
        name
        for name, one in zip(names[1:], certificates[1:], strict=True)
        if isinstance(parse_certificate(one).key, Sm2PublicKey)
    ]
    subject = Subject(
        kind="certificate", algorithm="ECDSA_P256_SHA256", verified_at=NOW, authorities=names[1:-1], by_sm2=issuing
    )
    found = [one.command for one in steps(subject, has_stamp=False) if one.command.startswith("openssl verify")]
    assert len(found) == len(certificates) - 1
    done = [subprocess.run(["sh", "-c", one], cwd=folder, check=False, capture_output=True) for one in found]
    try:
        path = is_path(list(certificates))
    except KeyError:  # which check.py tells as a failure
        path = False
    return all(one.returncode == 0 for one in done), path


@pytest.mark.parametrize("between", KEYS)
def test_a_chain_below_an_sm2_root_holds_whatever_the_keys_are(tmp_path: Path, between: Callable[[], Key]) -> None:
    top = root(Sm2Key())
    middle = top.authority(between(), path_length=1)
    lower = middle.authority(Sm2Key(), name="lower")
    leaf = lower.issue(p256())
    assert holds(tmp_path / "short", top.issue(p256()), top.certificate) == (True, True)
    assert holds(tmp_path, leaf, lower.certificate, middle.certificate, top.certificate) == (True, True)
    assert holds(tmp_path, lower.issue(p256()), lower.certificate, middle.certificate, root(Sm2Key()).certificate) == (
        False, True,
    )  # fmt: skip


def middles(top: Issuer, key: Key) -> dict[str, bytes]:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "m")])
    no = x509.BasicConstraints(ca=False, path_length=None)
    return {
        "no authority": top.issue(key, subject=subject, extensions=[(no, True)], key_usage=usage(authority=True)),
        "no constraints": top.issue(key, subject=subject, key_usage=usage(authority=True)),
        "signs no certificates": top.authority(key, key_usage=SIGNS).certificate,
        "expired": top.authority(key, **PAST).certificate,
        "of another": root(Sm2Key()).authority(key).certificate,
        "narrowing names": top.authority(key, extensions=[(NARROW, True)]).certificate,
        "narrowing names, not critical": top.authority(key, extensions=[(NARROW, False)]).certificate,
        "saying something unknown": top.authority(
            key, extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
        ).certificate,
        "good": top.authority(key).certificate,
    }


def test_a_forged_authority_in_the_middle_is_refused(tmp_path: Path) -> None:
    top = root(Sm2Key())
    key = p256()
    for why, certificate in middles(top, key).items():
        leaf = Issuer(certificate=certificate, key=key).issue(p256())
        by_openssl, by_check = holds(tmp_path, leaf, certificate, top.certificate)
        assert (by_openssl and by_check) == (why == "good"), why


def test_an_authority_above_more_others_than_it_says_is_refused(tmp_path: Path) -> None:
    for above, between in ((0, None), (None, 0)):
        top = root(Sm2Key(), path_length=above)
        middle = top.authority(p256(), path_length=between)
        lower = middle.authority(p256(), name="lower", path_length=None)
        chain = (lower.issue(p256()), lower.certificate, middle.certificate, top.certificate)
        assert holds(tmp_path, *chain) == (True, False)  # which openssl cannot see, link by link


def test_a_root_or_a_signer_out_of_time_is_refused(tmp_path: Path) -> None:
    old, top = root(Sm2Key(), **PAST), root(Sm2Key())
    middle, lower = old.authority(p256()), top.authority(p256())
    assert holds(tmp_path, middle.issue(p256()), middle.certificate, old.certificate)[0] is False
    assert holds(tmp_path, lower.issue(p256(), **PAST), lower.certificate, top.certificate)[0] is False
