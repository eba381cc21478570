"""Signatures by certificate: whose word counts, at which time, for which bytes."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.algorithms import read_public_key
from gateway.signatures.certificates import parse_certificate
from gateway.signatures.chain import Chains
from gateway.signatures.evidence import CertificateEvidence, Clerk, Signatory
from gateway.signatures.verification import Act, Trust, Verified, verify_act
from tests.gateway.signatures.authorities import (
    NAME,
    NOW,
    NUMBER,
    OTHER_ALGORITHMS,
    Issuer,
    Key,
    Sm2Key,
    naming_within,
    p256,
    person,
    root,
    sign,
    usage,
)

DOCUMENT = '{"statement":"以上属实","version":1}'.encode()
SIGNATORY = Signatory(id_type="resident-id", id_number=NUMBER, name=NAME)
CLERK = Clerk(person="clerk-01", unit="11230000000000101E")
ROOT = root()
_POOL = [p256() for _ in range(4)]
CERTIFICATE = ROOT.issue(_POOL[0])


def trusting(*anchors: Issuer, **rules: Any) -> Trust:
    return Trust(chains=Chains([parse_certificate(one.certificate) for one in anchors or (ROOT,)], **rules))


def verified(
    evidence: CertificateEvidence, trust: Trust, *, document: bytes = DOCUMENT, at: datetime = NOW
) -> Verified:
    act = Act(document=document, evidence=evidence, signatory=SIGNATORY, clerk=CLERK)
    return verify_act(act, trust, at=at)


def evidence(key: Key, *certificates: bytes, document: bytes = DOCUMENT, algorithm: str = "") -> CertificateEvidence:
    name, signature = sign(key, document)
    return CertificateEvidence(algorithm=algorithm or name, signature=signature, certificates=certificates)


def refused(made: CertificateEvidence, trust: Trust | None = None, **rest: Any) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verified(made, trust or trusting(), **rest)
    assert caught.value.chinese
    assert NUMBER not in str(caught.value)
    return caught.value.code


KEYS: dict[str, Callable[[], Key]] = {
    "P-256": p256,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA-3072": lambda: rsa.generate_private_key(65537, 3072),
    "SM2": Sm2Key,
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("issuing", ["P-256", "Ed25519", "SM2"])
def test_every_algorithm_is_accepted_under_every_kind_of_authority(kind: str, issuing: str) -> None:
    above = root(KEYS[issuing]())
    between = above.authority(KEYS[issuing]())
    key = KEYS[kind]()

    found = verified(evidence(key, between.issue(key), between.certificate), trusting(above))

    assert found.chain is not None
    assert [one.der for one in found.chain.certificates][1:] == [between.certificate, above.certificate]
    assert found.kept["algorithm"] == sign(key, b"")[0]


@pytest.mark.parametrize("kind", KEYS)
def test_one_changed_byte_of_document_or_signature_is_refused(kind: str) -> None:
    key = KEYS[kind]()
    made = evidence(key, ROOT.issue(key))
    trust = trusting()
    for at in (0, len(DOCUMENT) // 2, len(DOCUMENT) - 1):
        altered = DOCUMENT[:at] + bytes([DOCUMENT[at] ^ 1]) + DOCUMENT[at + 1 :]
        assert refused(made, trust, document=altered) == "SIGNATURE_INVALID"
    for at in (0, len(made.signature) // 2, len(made.signature) - 1):
        bad = made.signature[:at] + bytes([made.signature[at] ^ 1]) + made.signature[at + 1 :]
        changed = CertificateEvidence(algorithm=made.algorithm, signature=bad, certificates=made.certificates)
        assert refused(changed, trust) == "SIGNATURE_INVALID"


def test_a_signature_by_another_key_is_refused() -> None:
    assert refused(evidence(p256(), ROOT.issue(p256()))) == "SIGNATURE_INVALID"


@pytest.mark.parametrize("signed", [b"", DOCUMENT + b"\n", hashlib.sha256(DOCUMENT).digest(), "以上属实".encode()])
def test_a_signature_over_the_text_the_digest_or_another_version_is_refused(signed: bytes) -> None:
    key = p256()
    assert refused(evidence(key, ROOT.issue(key), document=signed)) == "SIGNATURE_INVALID"


@pytest.mark.parametrize("named", ["ED25519", "ECDSA_P384_SHA384", "RSA_PSS_SHA256", "SM2_SM3", "", "none"])
def test_another_algorithm_than_the_keys_is_refused(named: str) -> None:
    key = p256()
    made = CertificateEvidence(algorithm=named, signature=sign(key, DOCUMENT)[1], certificates=(ROOT.issue(key),))
    assert refused(made) == "ALGORITHM_MISMATCH"


def test_validity_is_that_of_the_time_of_signing() -> None:
    key, short = p256(), timedelta(hours=1)
    certificate = ROOT.issue(key, starts=NOW - short, ends=NOW + short)
    made, trust = evidence(key, certificate), trusting()

    verified(made, trust)
    assert refused(made, trust, at=NOW + short + timedelta(seconds=1)) == "CERTIFICATE_EXPIRED"
    assert refused(made, trust, at=NOW - short - timedelta(seconds=1)) == "CERTIFICATE_NOT_YET_VALID"
    verified(made, trust, at=NOW)  # later questions about earlier times are answered as of then


def test_an_authority_that_had_expired_refuses_what_it_issued() -> None:
    key = p256()
    between = ROOT.authority(p256(), ends=NOW - timedelta(seconds=1))
    assert refused(evidence(key, between.issue(key), between.certificate)) == "CERTIFICATE_NOT_TRUSTED"
    old = root(ends=NOW - timedelta(seconds=1))
    assert refused(evidence(key, old.issue(key)), trusting(old)) == "CERTIFICATE_NOT_TRUSTED"


def test_a_chain_to_an_unknown_anchor_is_refused() -> None:
    key = p256()
    same_name = root()
    assert refused(evidence(key, same_name.issue(key))) == "CERTIFICATE_NOT_TRUSTED"
    assert refused(evidence(key, same_name.issue(key), same_name.certificate)) == "CERTIFICATE_NOT_TRUSTED"


def test_a_missing_intermediate_is_not_guessed() -> None:
    key, between = p256(), ROOT.authority(p256())
    assert refused(evidence(key, between.issue(key))) == "CERTIFICATE_NOT_TRUSTED"


def test_a_person_cannot_issue_certificates() -> None:
    holder, key = p256(), p256()
    own = ROOT.issue(holder)
    assert refused(evidence(key, Issuer(certificate=own, key=holder).issue(key), own)) == "CERTIFICATE_NOT_TRUSTED"


@pytest.mark.parametrize("authority", [usage(signs=True), usage()])
def test_an_authority_whose_key_may_not_sign_certificates_is_refused(authority: x509.KeyUsage) -> None:
    key, between = p256(), ROOT.authority(p256(), key_usage=authority)
    assert refused(evidence(key, between.issue(key), between.certificate)) == "CERTIFICATE_NOT_TRUSTED"


def test_path_length_bounds_the_authorities_below() -> None:
    first = ROOT.authority(p256(), name="first", path_length=0)
    second = first.authority(p256(), name="second", path_length=None)
    key = p256()
    made = evidence(key, second.issue(key), second.certificate, first.certificate)
    assert refused(made) == "CERTIFICATE_NOT_TRUSTED"


def test_the_configured_number_of_intermediates_is_the_most() -> None:
    first = ROOT.authority(p256(), name="first", path_length=None)
    second = first.authority(p256(), name="second", path_length=None)
    key = p256()
    made = evidence(key, second.issue(key), first.certificate, second.certificate)

    verified(made, trusting(most_intermediates=2))
    assert refused(made, trusting(most_intermediates=1)) == "CERTIFICATE_NOT_TRUSTED"


def test_certificates_in_any_order_and_useless_ones_do_no_harm_but_too_many_are_refused() -> None:
    key, between = p256(), ROOT.authority(p256())
    spare = root(name="elsewhere").certificate
    leaf = between.issue(key)

    found = verified(evidence(key, leaf, spare, between.certificate), trusting())

    assert found.kept["certificates"] == [one.hex() for one in (leaf, between.certificate, ROOT.certificate)]
    assert refused(evidence(key, leaf, *[spare] * 5)) == "CHAIN_TOO_LONG"
    assert refused(evidence(key)) == "CERTIFICATE_MISSING"


def test_two_authorities_that_issued_each_other_end_nowhere() -> None:
    one_key, other_key, key = p256(), p256(), p256()
    stranger = root(name="stranger")
    one = stranger.authority(one_key, name="one", path_length=None)
    other = one.authority(other_key, name="other", path_length=None)
    crossed = other.authority(one_key, name="one", path_length=None)
    made = evidence(key, other.issue(key), other.certificate, one.certificate, crossed.certificate)
    assert refused(made) == "CERTIFICATE_NOT_TRUSTED"


@pytest.mark.parametrize(
    ("key_usage", "code"),
    [(None, "KEY_USAGE_MISSING"), (usage(), "KEY_USAGE_WRONG"), (usage(authority=True), "KEY_USAGE_WRONG")],
)
def test_a_key_that_is_not_for_signing_is_refused(key_usage: x509.KeyUsage | None, code: str) -> None:
    key = p256()
    assert refused(evidence(key, ROOT.issue(key, key_usage=key_usage))) == code


@pytest.mark.parametrize(
    "purpose", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING]
)
def test_a_certificate_of_a_server_or_service_signs_no_commitment(purpose: x509.ObjectIdentifier) -> None:
    key = p256()
    certificate = ROOT.issue(key, extensions=[(x509.ExtendedKeyUsage([purpose]), False)])
    assert refused(evidence(key, certificate)) == "KEY_USAGE_WRONG"


def test_an_authority_signs_no_commitment_itself() -> None:
    key = p256()
    extensions = [(x509.BasicConstraints(ca=True, path_length=None), True)]
    assert refused(evidence(key, ROOT.issue(key, extensions=extensions))) == "KEY_USAGE_WRONG"


def test_weak_rsa_is_refused_for_people_and_for_authorities() -> None:
    weak = rsa.generate_private_key(65537, 2048)
    assert refused(evidence(weak, ROOT.issue(weak))) == "KEY_TOO_WEAK"
    weaker, key = rsa.generate_private_key(65537, 1024), p256()
    above = root(weaker)
    assert refused(evidence(key, above.issue(key)), trusting(above)) == "CERTIFICATE_NOT_TRUSTED"


def test_a_certificate_signed_with_sha1_is_refused() -> None:
    key, above = p256(), root(rsa.generate_private_key(65537, 2048))
    certificate = bytearray(above.issue(key))
    sha256_with_rsa, sha1_with_rsa = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    assert refused(evidence(key, bytes(certificate).replace(sha256_with_rsa, sha1_with_rsa)), trusting(above)) == (
        "CERTIFICATE_NOT_TRUSTED"
    )


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
CONSTRAINTS = x509.NameConstraints(permitted_subtrees=[x509.DNSName("example.cn")], excluded_subtrees=None)


def test_what_is_critical_and_not_understood_refuses_the_chain() -> None:
    key = p256()
    assert refused(evidence(key, ROOT.issue(key, extensions=[(UNKNOWN, True)]))) == "CERTIFICATE_NOT_TRUSTED"
    verified(evidence(key, ROOT.issue(key, extensions=[(UNKNOWN, False)])), trusting())
    for critical in (True, False):
        between = ROOT.authority(p256(), extensions=[(CONSTRAINTS, critical)])
        assert refused(evidence(key, between.issue(key), between.certificate)) == "CERTIFICATE_NOT_TRUSTED"
        above = root(extensions=[(CONSTRAINTS, critical)])
        assert refused(evidence(key, above.issue(key)), trusting(above)) == "CERTIFICATE_NOT_TRUSTED"
    above = root(extensions=[(UNKNOWN, True)])
    assert refused(evidence(key, above.issue(key)), trusting(above)) == "CERTIFICATE_NOT_TRUSTED"


@pytest.mark.parametrize("other", OTHER_ALGORITHMS)
def test_a_certificate_that_names_two_algorithms_is_refused(other: str) -> None:
    key, between = p256(), ROOT.authority(p256())
    leaf = between.issue(key)
    of_person = naming_within(between, asn1.Certificate.load(leaf), OTHER_ALGORITHMS[other])
    of_authority = naming_within(ROOT, asn1.Certificate.load(between.certificate), OTHER_ALGORITHMS[other])

    assert refused(evidence(key, of_person, between.certificate)) == "CERTIFICATE_MALFORMED"
    assert refused(evidence(key, leaf, of_authority)) == "CERTIFICATE_MALFORMED"
    same = naming_within(between, asn1.Certificate.load(leaf), {"algorithm": "sha256_ecdsa"})
    verified(evidence(key, same, between.certificate), trusting())


def under(*policies: str) -> tuple[x509.ExtensionType, bool]:
    named = [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies]
    return x509.CertificatePolicies(named), True


OURS, OTHER, ANY = "1.2.156.1.1", "1.2.156.1.2", "2.5.29.32.0"


@pytest.mark.parametrize(
    ("authority", "leaf", "holds"),
    [
        ([OURS], [OURS], True),
        ([ANY], [OURS, OTHER], True),
        ([OURS, OTHER], [OTHER], False),
        ([OTHER], [OURS], False),
        ([OURS], [ANY], False),
        ([OURS], None, False),
        (None, [OURS], False),
    ],
)
def test_a_required_policy_must_hold_all_the_way(
    authority: list[str] | None, leaf: list[str] | None, holds: bool
) -> None:
    key = p256()
    between = ROOT.authority(p256(), extensions=[under(*authority)] if authority else [])
    certificate = between.issue(key, extensions=[under(*leaf)] if leaf else [])
    made, trust = evidence(key, certificate, between.certificate), trusting(policies=[OURS])
    if holds:
        verified(made, trust)
    else:
        assert refused(made, trust) == "CERTIFICATE_POLICY_MISSING"
    verified(made, trusting())


def test_the_certificate_must_name_who_must_have_signed() -> None:
    key = p256()
    for name, number in (("示例乙", NUMBER), (NAME, "230199198001010099"), (NAME, "1"), (NUMBER, NUMBER)):
        assert refused(evidence(key, ROOT.issue(key, subject=person(name, number)))) == "SIGNER_NOT_APPLICANT"
    nobody = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    both = x509.Name([*person(), x509.NameAttribute(NameOID.SERIAL_NUMBER, NUMBER)])
    for subject in (nobody, both):
        assert refused(evidence(key, ROOT.issue(key, subject=subject))) == "SIGNER_NOT_NAMED"


@pytest.mark.parametrize("unseen", ["\u2800", "\U0001d159", "\ufff0"])
def test_a_name_as_a_document_keeps_it_is_compared_as_names_are(unseen: str) -> None:
    for kept in (f"{NAME}{unseen}", f"{unseen}{NAME}"):
        signatory = Signatory(id_type="resident-id", id_number=NUMBER, name=kept)
        for name in (NAME, kept):
            key = p256()
            made = evidence(key, ROOT.issue(key, subject=person(name)))
            act = Act(document=DOCUMENT, evidence=made, signatory=signatory, clerk=CLERK)
            assert verify_act(act, trusting(), at=NOW).chain is not None


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", b"junk" * 100, b"\x30" * 40_000])
def test_what_is_no_certificate_is_refused(junk: bytes) -> None:
    key = p256()
    assert refused(evidence(key, junk)) == "CERTIFICATE_MALFORMED"
    assert refused(evidence(key, ROOT.issue(key), junk)) == "CERTIFICATE_MALFORMED"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_certificate_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(CERTIFICATE) - 1))
    bad = CERTIFICATE[:at] + bytes([CERTIFICATE[at] ^ data.draw(st.integers(1, 255))]) + CERTIFICATE[at + 1 :]
    assert refused(evidence(_POOL[0], bad))


def test_an_ecdsa_twin_is_the_same_act() -> None:
    key = p256()
    made, trust = evidence(key, ROOT.issue(key)), trusting()
    r, s = decode_dss_signature(made.signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = CertificateEvidence(
        algorithm=made.algorithm, signature=encode_dss_signature(r, order - s), certificates=made.certificates
    )

    one, other = verified(made, trust), verified(twin, trust)

    assert one.chain == other.chain
    assert {**one.kept, "signature": ""} == {**other.kept, "signature": ""}


def test_a_chain_is_found_once_and_remembered_only_as_long_as_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.signatures import chain

    looked: list[object] = []
    real = chain.verify_certificate_issued

    def counting(*arguments: Any) -> None:
        looked.append(arguments)
        real(*arguments)

    monkeypatch.setattr(chain, "verify_certificate_issued", counting)
    between = ROOT.authority(p256())
    keys = [p256() for _ in range(3)]
    trust = trusting()
    leaves = [between.issue(key, ends=NOW + timedelta(hours=1)) for key in keys]
    for key, leaf in zip(keys, leaves, strict=True):
        verified(evidence(key, leaf, between.certificate), trust)
    of_authorities = [one for one in looked if "intermediate" in str(one[0].subject)]  # type: ignore[index]
    assert len(of_authorities) == 1
    assert len(looked) == 1 + len(keys)

    verified(evidence(keys[0], leaves[0], between.certificate), trust)
    assert len(looked) == 1 + len(keys)
    late = evidence(keys[0], leaves[0], between.certificate)
    assert refused(late, trust, at=NOW + timedelta(hours=2)) == "CERTIFICATE_EXPIRED"


def test_without_the_extra_sm2_is_refused_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] in ("gmssl_pyx", "asn1crypto"):
            raise ImportError(name)
        return real(name, *rest)

    key = Sm2Key()
    made = evidence(key, ROOT.issue(key))
    parse_certificate.cache_clear()
    read_public_key.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    assert refused(made) == "ALGORITHM_UNAVAILABLE"


Shape = tuple[bool, bool, int | None, bool]
_SHAPES = st.tuples(st.booleans(), st.booleans(), st.sampled_from([None, 0, 1]), st.booleans())


@settings(max_examples=80, deadline=None)
@given(st.lists(_SHAPES, min_size=1, max_size=3), st.booleans())
def test_our_path_rules_refuse_what_the_library_refuses(shapes: list[Shape], known: bool) -> None:
    """On what both know, compare with the verifier of `cryptography`: we are never laxer, and agree on sound chains."""
    above = root(_POOL[3])
    issuer, chain = above, []
    for number, (authority, signs, length, in_time) in enumerate(shapes):
        extensions: list[Any] = [(x509.BasicConstraints(ca=authority, path_length=length if authority else None), True)]
        extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False))
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(_POOL[number].public_key()), False))
        made = issuer.issue(
            _POOL[number],
            subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {number}")]),
            key_usage=usage(authority=signs, signs=not signs),
            extensions=extensions,
            ends=NOW + (timedelta(days=1) if in_time else -timedelta(minutes=1)),
        )
        issuer = Issuer(certificate=made, key=_POOL[number])
        chain.insert(0, made)
    key = _POOL[3]
    leaf = issuer.issue(
        key, extensions=[(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)]
    )
    anchor = above if known else root(name="root")

    def ours() -> bool:
        try:
            Chains([parse_certificate(anchor.certificate)]).find([leaf, *chain], NOW)
        except SignatureRefused:
            return False
        return True

    def theirs() -> bool:
        policy = verification.PolicyBuilder().store(verification.Store([anchor.parsed])).time(NOW)
        policy = policy.extension_policies(
            ee_policy=verification.ExtensionPolicy.permit_all(),
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
        )
        loaded = [x509.load_der_x509_certificate(one) for one in (leaf, *chain)]
        try:
            policy.build_client_verifier().verify(loaded[0], loaded[1:])
        except verification.VerificationError:
            return False
        return True

    assert ours() == theirs()


def test_hashes_are_of_the_named_algorithm() -> None:
    key = p256()
    signature = key.sign(DOCUMENT, ec.ECDSA(hashes.SHA384()))
    made = CertificateEvidence(algorithm="ECDSA_P256_SHA256", signature=signature, certificates=(ROOT.issue(key),))
    assert refused(made) == "SIGNATURE_INVALID"


def test_a_key_that_cannot_sign_documents_is_refused() -> None:
    key = p256()
    for other in (x25519.X25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()):
        assert refused(evidence(key, ROOT.issue(other))) == "ALGORITHM_UNKNOWN"
    koblitz = ec.generate_private_key(ec.SECP256K1())
    assert refused(evidence(koblitz, ROOT.issue(koblitz))) == "ALGORITHM_MISMATCH"


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x30\x00", None], ids=["empty", "junk", "no fields", "cut short"])
def test_what_is_no_public_key_is_refused(junk: bytes | None) -> None:
    junk = Sm2Key().public_key_info()[:-1] if junk is None else junk
    with pytest.raises(SignatureRefused) as caught:
        read_public_key(junk)
    assert caught.value.code == "KEY_MALFORMED"
