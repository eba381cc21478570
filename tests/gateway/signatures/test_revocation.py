"""Revoked before the signing is refused; revoked after it stands; what says nothing usable says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from asn1crypto import core, crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.certificates import Certificate, parse_certificate
from gateway.signatures.chain import Chain, Chains
from gateway.signatures.lists import UnusableStatus, read_list
from gateway.signatures.revocation import RevocationRule, Revocations, require_known
from tests.gateway.signatures.authorities import (
    NOW,
    OTHER_ALGORITHMS,
    Extension,
    Issuer,
    Key,
    Sm2Key,
    naming_within,
    p256,
    root,
    usage,
)

HOUR = timedelta(hours=1)
SERIAL = 4711
KEYS: dict[str, Callable[[], Key]] = {
    "P-256": p256,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "SM2": Sm2Key,
}
ROOT = root()
PSS_ROOT = root(rsa.generate_private_key(65537, 2048))


def chain_of(above: Issuer, serial: int = SERIAL, extensions: Sequence[Extension] = ()) -> Chain:
    leaf = above.issue(p256(), serial=serial, extensions=extensions)
    return Chains([parse_certificate(above.certificate)]).find([leaf], NOW)


CHAIN = chain_of(ROOT)


def known(
    *lists: bytes,
    answers: Sequence[bytes] = (),
    rule: RevocationRule = RevocationRule.REQUIRE,
    fresh: timedelta = 7 * HOUR,
) -> Revocations:
    return Revocations([read_list(one) for one in lists], answers, rule=rule, fresh=fresh)


def told(revocations: Revocations, chain: Chain = CHAIN, at: datetime = NOW, now: datetime = NOW) -> str:
    """Say in a word what comes of a check."""
    try:
        _, every = revocations.check(chain, at=at, now=now)
        require_known(revocations.rule, every)
    except SignatureRefused as refused:
        return refused.code
    return "good"


@pytest.mark.parametrize("kind", KEYS)
def test_revoked_before_is_refused_and_revoked_after_stands_for_every_algorithm(kind: str) -> None:
    above = root(KEYS[kind]())
    chain = chain_of(above)

    assert told(known(above.list_revoked({})), chain) == "good"
    assert told(known(above.list_revoked({1: NOW - HOUR})), chain) == "good"
    assert told(known(above.list_revoked({SERIAL: NOW - HOUR})), chain) == "CERTIFICATE_REVOKED"
    later = known(above.list_revoked({SERIAL: NOW + HOUR}, at=NOW + HOUR, until=NOW + 9 * HOUR))
    assert told(later, chain, at=NOW, now=NOW + 2 * HOUR) == "good"
    assert told(later, chain, at=NOW + HOUR, now=NOW + 2 * HOUR) == "CERTIFICATE_REVOKED"


@given(st.integers(-5000, 5000))
def test_the_second_of_the_revocation_decides(seconds: int) -> None:
    since = NOW + timedelta(seconds=seconds)
    revocations = known(ROOT.list_revoked({SERIAL: since}, at=NOW + 2 * HOUR, until=NOW + 9 * HOUR))

    expected = "CERTIFICATE_REVOKED" if since <= NOW else "good"

    assert told(revocations, now=NOW + 3 * HOUR) == expected


def test_a_key_that_was_lost_before_it_was_revoked_is_refused_from_then_on() -> None:
    revocations = known(ROOT.list_revoked({SERIAL: NOW + HOUR}, at=NOW + HOUR, invalid_since=NOW - HOUR))
    assert told(revocations, now=NOW + 2 * HOUR) == "CERTIFICATE_REVOKED"


@pytest.mark.parametrize("salt", [20, 32, 48])
@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
def test_an_authority_that_signs_with_rsa_pss_is_heard(digest: hashes.HashAlgorithm, salt: int) -> None:
    chain = chain_of(PSS_ROOT)
    pss = padding.PSS(padding.MGF1(digest), salt)

    def sign_anew(outline: Any) -> bytes:
        named = {"algorithm": digest.name}
        mask = {"algorithm": "mgf1", "parameters": named}
        parameters = {"hash_algorithm": named, "mask_gen_algorithm": mask, "salt_length": salt}
        algorithm = {"algorithm": "rsassa_pss", "parameters": parameters}
        return signed_anew(outline, algorithm, lambda content: PSS_ROOT.key.sign(content, pss, digest))

    for rule in (RevocationRule.REQUIRE, RevocationRule.IF_AVAILABLE):
        clear, revoked = (sign_anew(PSS_ROOT.list_revoked(one)) for one in ({}, {SERIAL: NOW - HOUR}))
        assert told(known(clear, rule=rule), chain) == "good"
        assert told(known(revoked, rule=rule), chain) == "CERTIFICATE_REVOKED"
        good, bad = (
            answer(PSS_ROOT, chain, status, since=since) for status, since in ((GOOD, None), (REVOKED, NOW - HOUR))
        )
        assert told(known(answers=[sign_anew(good)], rule=rule), chain) == "good"
        assert told(known(answers=[sign_anew(bad)], rule=rule), chain) == "CERTIFICATE_REVOKED"


SHA1, SHA256, SHA384 = ({"algorithm": name} for name in ("sha1", "sha256", "sha384"))
ODD_PSS: dict[str, dict[str, Any]] = {
    "another salt": {"hash_algorithm": SHA256, "salt_length": 20},
    "two hashes": {"hash_algorithm": SHA384, "salt_length": 32},
    "SHA-1": {"hash_algorithm": SHA1, "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": SHA1}},
}


@pytest.mark.parametrize("odd", ODD_PSS)
def test_rsa_pss_with_other_parameters_than_it_names_is_not_heard(odd: str) -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    mask = {"algorithm": "mgf1", "parameters": SHA256}
    algorithm = {"algorithm": "rsassa_pss", "parameters": {"mask_gen_algorithm": mask, **ODD_PSS[odd]}}
    chain = chain_of(PSS_ROOT)

    def sign_anew(outline: bytes) -> bytes:
        return signed_anew(outline, algorithm, lambda content: PSS_ROOT.key.sign(content, pss, hashes.SHA256()))

    assert told(known(sign_anew(PSS_ROOT.list_revoked({}))), chain) == "REVOCATION_UNKNOWN"
    assert told(known(answers=[sign_anew(answer(PSS_ROOT, chain, GOOD))]), chain) == "REVOCATION_UNKNOWN"


def signed_anew(content: bytes, algorithm: dict[str, Any], sign: Callable[[bytes], bytes]) -> bytes:
    """Sign a list or an answer with another algorithm, which the library that made it does not write."""
    try:
        outline = crl.CertificateList.load(content, strict=True)
        outline["tbs_cert_list"]["signature"] = outline["signature_algorithm"] = algorithm
        outline["signature"] = sign(outline["tbs_cert_list"].dump(force=True))
    except (ValueError, TypeError):
        outline = asn1_ocsp.OCSPResponse.load(content)
        basic = outline["response_bytes"]["response"].parsed
        basic["signature_algorithm"] = algorithm
        basic["signature"] = sign(basic["tbs_response_data"].dump())
        outline["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
    encoded: bytes = outline.dump(force=True)
    return encoded


def test_what_speaks_for_an_authority_without_its_signature_is_logged_once_by_digest() -> None:
    forged, own = root().list_revoked({}), ROOT.list_revoked({})
    revocations = known(forged, own, root(name="other").list_revoked({}))
    with structlog.testing.capture_logs() as logged:
        assert told(revocations) == told(revocations) == "good"
        assert told(known(answers=[answer(root(), CHAIN, GOOD)])) == "REVOCATION_UNKNOWN"
    authority = CHAIN.certificates[1].digest.hex()
    assert [(one["log_level"], one.get("list"), one["authority"]) for one in logged] == [
        ("warning", hashlib.sha256(forged).hexdigest(), authority),
        ("warning", None, authority),
    ]
    assert all(one.keys() <= {"log_level", "event", "list", "authority"} for one in logged)


def test_an_authority_that_was_revoked_is_refused() -> None:
    between = ROOT.authority(p256(), serial=99)
    leaf = between.issue(p256(), serial=SERIAL)
    chain = Chains([parse_certificate(ROOT.certificate)]).find([leaf, between.certificate], NOW)
    of_people, of_authorities = between.list_revoked({}), ROOT.list_revoked({99: NOW - HOUR})

    assert told(known(of_people, of_authorities), chain) == "CERTIFICATE_REVOKED"
    assert told(known(of_people, ROOT.list_revoked({})), chain) == "good"
    assert told(known(of_people), chain) == "REVOCATION_UNKNOWN"


USELESS: dict[str, Callable[[], bytes]] = {
    "of another authority of the same name": lambda: root().list_revoked({}),
    "of another authority": lambda: root(name="other").list_revoked({}),
    "past its next update": lambda: ROOT.list_revoked({}, at=NOW - 6 * HOUR, until=NOW - HOUR),
    "older than is fresh": lambda: ROOT.list_revoked({}, at=NOW - 8 * HOUR),
    "of tomorrow": lambda: ROOT.list_revoked({}, at=NOW + HOUR),
    "of authorities only": lambda: ROOT.list_revoked({}, extensions=[(scope(only_contains_ca_certs=True), True)]),
}


def scope(**only: Any) -> x509.IssuingDistributionPoint:
    options = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**{**options, **only})


@pytest.mark.parametrize("why", USELESS)
def test_a_list_that_says_nothing_leaves_the_status_unknown_and_the_rule_decides(why: str) -> None:
    useless = USELESS[why]()

    assert told(known(useless)) == "REVOCATION_UNKNOWN"
    accepted = "REVOCATION_UNKNOWN" if why == "of another authority of the same name" else "good"
    assert told(known(useless, rule=RevocationRule.IF_AVAILABLE)) == accepted


def test_without_any_source_require_refuses_and_off_asks_nobody() -> None:
    assert told(known()) == "REVOCATION_UNKNOWN"
    assert told(known(rule=RevocationRule.IF_AVAILABLE)) == "good"
    revoked = ROOT.list_revoked({SERIAL: NOW - HOUR})
    assert told(known(revoked, rule=RevocationRule.OFF)) == "good"
    assert told(known(revoked, rule=RevocationRule.IF_AVAILABLE)) == "CERTIFICATE_REVOKED"


def test_a_list_of_an_authority_that_may_not_sign_lists_says_nothing() -> None:
    between = ROOT.authority(p256(), key_usage=usage(authority=True, lists=False))
    leaf = between.issue(p256(), serial=SERIAL)
    chain = Chains([parse_certificate(ROOT.certificate)]).find([leaf, between.certificate], NOW)
    assert told(known(between.list_revoked({}), ROOT.list_revoked({})), chain) == "REVOCATION_UNKNOWN"


@pytest.mark.parametrize(
    "extension",
    [
        (scope(indirect_crl=True), True),
        (scope(only_contains_attribute_certs=True), True),
        (scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), True),
        (x509.DeltaCRLIndicator(3), True),
        (x509.DeltaCRLIndicator(3), False),
    ],
)
def test_delta_indirect_and_partial_lists_are_not_usable(extension: Any) -> None:
    with pytest.raises(UnusableStatus):
        read_list(ROOT.list_revoked({}, extensions=[extension]))


ONE, TWO, LDAP = (
    x509.UniformResourceIdentifier(url)
    for url in ("http://ca.example/1.crl", "http://ca.example/2.crl", "ldap://ca.example/cn=1")
)
NAMED = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "list 1")])
ENTRY = x509.DirectoryName(x509.Name([*ROOT.parsed.subject.rdns, NAMED]))
OURS, THEIRS = x509.DirectoryName(ROOT.parsed.subject), x509.DirectoryName(root(name="other").parsed.subject)


def point(*names: x509.GeneralName, **more: Any) -> x509.DistributionPoint:
    options = {"full_name": names or None, "relative_name": None, "reasons": None, "crl_issuer": None}
    return x509.DistributionPoint(**{**options, **more})


POINTS: dict[str, tuple[dict[str, Any], list[x509.DistributionPoint], str]] = {
    "a whole list, without points": ({}, [], "good"),
    "a whole list, of a certificate with one": ({}, [point(TWO)], "good"),
    "a list of its point": ({"full_name": [ONE]}, [point(ONE)], "good"),
    "a list of one of its points": ({"full_name": [ONE]}, [point(TWO), point(ONE)], "good"),
    "one name in common": ({"full_name": [LDAP, ONE]}, [point(ONE, TWO)], "good"),
    "a relative name and the whole one": ({"relative_name": NAMED}, [point(ENTRY)], "good"),
    "the whole name and a relative one": ({"full_name": [ENTRY]}, [point(relative_name=NAMED)], "good"),
    "both relative": ({"relative_name": NAMED}, [point(relative_name=NAMED)], "good"),
    "a point that names the issuer only": ({"full_name": [OURS]}, [point(crl_issuer=[OURS])], "good"),
    "a list of another point": ({"full_name": [ONE]}, [point(TWO)], "REVOCATION_UNKNOWN"),
    "a list of a point, without points": ({"full_name": [ONE]}, [], "REVOCATION_UNKNOWN"),
    "a name in another case": (
        {"full_name": [ONE]}, [point(x509.UniformResourceIdentifier(ONE.value.upper()))], "REVOCATION_UNKNOWN"
    ),
    "another relative name": ({"relative_name": NAMED}, [point(ONE), point(OURS)], "REVOCATION_UNKNOWN"),
    "a point of some reasons": (
        {"full_name": [ONE]}, [point(ONE, reasons=frozenset({x509.ReasonFlags.key_compromise}))], "REVOCATION_UNKNOWN"
    ),
    "a point of another authority": ({"full_name": [ONE]}, [point(ONE, crl_issuer=[THEIRS])], "REVOCATION_UNKNOWN"),
    "a point that names the issuer only, and another list": (
        {"full_name": [ONE]}, [point(crl_issuer=[OURS])], "REVOCATION_UNKNOWN"
    ),
    "its point, but of authorities": (
        {"full_name": [ONE], "only_contains_ca_certs": True}, [point(ONE)], "REVOCATION_UNKNOWN"
    ),
    "its point, of people": ({"full_name": [ONE], "only_contains_user_certs": True}, [point(ONE)], "good"),
}  # fmt: skip


@pytest.mark.parametrize("case", POINTS)
def test_the_silence_of_a_list_counts_at_the_distribution_point_that_the_certificate_names(case: str) -> None:
    of_list, of_certificate, expected = POINTS[case]
    chain = chain_of(ROOT, extensions=[(x509.CRLDistributionPoints(of_certificate), False)] if of_certificate else ())
    extensions = [(scope(**of_list), True)] if of_list else []
    silent, telling = (ROOT.list_revoked(one, extensions=extensions) for one in ({}, {SERIAL: NOW - HOUR}))

    assert told(known(silent), chain) == expected
    assert told(known(silent, ROOT.list_revoked({}, at=NOW - 8 * HOUR)), chain) == expected
    assert told(known(telling), chain) == "CERTIFICATE_REVOKED"
    assert told(known(telling, rule=RevocationRule.IF_AVAILABLE), chain) == "CERTIFICATE_REVOKED"


def test_the_scope_of_a_list_counts_whether_critical_or_not() -> None:
    chain = chain_of(ROOT, extensions=[(x509.CRLDistributionPoints([point(TWO)]), False)])
    for critical in (True, False):
        other = ROOT.list_revoked({}, extensions=[(scope(full_name=[ONE]), critical)])
        assert told(known(other), chain) == "REVOCATION_UNKNOWN"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_list_never_says_good(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(LIST) - 1))
    bad = LIST[:at] + bytes([LIST[at] ^ data.draw(st.integers(1, 255))]) + LIST[at + 1 :]
    try:
        revocations = known(bad)
    except UnusableStatus:
        return
    assert told(revocations) == "REVOCATION_UNKNOWN"


LIST = ROOT.list_revoked({1: NOW - HOUR})


def with_unused_bit(make: Callable[[], bytes], signature_of: Callable[[bytes], bytes]) -> bytes:
    """Spell a signature that ends in a zero as a BIT STRING whose last bit is unused."""
    while signature_of(whole := make())[-1] & 1:
        pass
    at = whole.index(b"\x00" + signature_of(whole))
    return whole[:at] + b"\x01" + whole[at + 1 :]


def test_a_second_spelling_of_a_list_or_an_answer_says_nothing() -> None:
    listed = with_unused_bit(lambda: ROOT.list_revoked({}), lambda one: x509.load_der_x509_crl(one).signature)
    with pytest.raises(UnusableStatus):
        read_list(listed)
    said = with_unused_bit(lambda: answer(ROOT, CHAIN, GOOD), lambda one: ocsp.load_der_ocsp_response(one).signature)
    assert told(known(answers=[said])) == "REVOCATION_UNKNOWN"


@pytest.mark.parametrize("other", OTHER_ALGORITHMS)
def test_a_list_that_names_two_algorithms_is_not_usable(other: str) -> None:
    with pytest.raises(UnusableStatus):
        read_list(naming_within(ROOT, crl.CertificateList.load(LIST), OTHER_ALGORITHMS[other]))
    assert told(known(naming_within(ROOT, crl.CertificateList.load(LIST), {"algorithm": "sha256_ecdsa"}))) == "good"


def test_a_list_is_read_as_pem_too_and_kept_as_der() -> None:
    pem = x509.load_der_x509_crl(LIST).public_bytes(serialization.Encoding.PEM)
    assert read_list(pem).content == LIST
    for junk in (b"", b"junk", pem[:-40], b"\x30" * (3 << 20)):
        with pytest.raises(UnusableStatus):
            read_list(junk)


def answer(
    above: Issuer,
    chain: Chain,
    status: ocsp.OCSPCertStatus,
    *,
    since: datetime | None = None,
    at: datetime = NOW - HOUR,
    until: datetime | None = NOW + HOUR,
    responder: Issuer | None = None,
    other: Chain | None = None,
) -> bytes:
    """Answer as a responder of the authority would: itself, or one it certified."""
    signer = responder or above
    leaf, issuer = (other or chain).certificates[:2]
    name_hash, key_hash = hashlib.sha1(issuer.subject), hashlib.sha1(public_key_bits(issuer))
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=name_hash.digest(), issuer_key_hash=key_hash.digest(), serial_number=leaf.parsed.serial_number,
        algorithm=hashes.SHA1(), cert_status=status, this_update=at, next_update=until, revocation_time=since,
        revocation_reason=None,
    )  # fmt: skip
    return signer.answer(builder, certified=responder is not None)


def public_key_bits(issuer: Certificate) -> bytes:
    """Give what a certificate holds as its key, read by another library than the one that is tested."""
    bits: bytes = asn1.Certificate.load(issuer.der).public_key["public_key"].contents[1:]
    return bits


GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def responder(above: Issuer, *purposes: x509.ObjectIdentifier, no_check: bool = False, **options: Any) -> Issuer:
    key = Sm2Key() if isinstance(above.key, Sm2Key) else p256()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "responder")])
    extensions: list[Extension] = [(x509.ExtendedKeyUsage(purposes), False)] if purposes else []
    extensions += [(x509.OCSPNoCheck(), False)] if no_check else []
    return Issuer(certificate=above.issue(key, subject=name, extensions=extensions, **options), key=key)


@pytest.mark.parametrize("kind", KEYS)
def test_an_ocsp_answer_tells_like_a_list(kind: str) -> None:
    above = root(KEYS[kind]())
    chain = chain_of(above)

    assert told(known(answers=[answer(above, chain, GOOD)]), chain) == "good"
    assert told(known(answers=[answer(above, chain, REVOKED, since=NOW - HOUR)]), chain) == "CERTIFICATE_REVOKED"
    later = answer(above, chain, REVOKED, since=NOW + HOUR, at=NOW + HOUR, until=NOW + 3 * HOUR)
    assert told(known(answers=[later]), chain, now=NOW + 2 * HOUR) == "good"


@pytest.mark.parametrize("kind", ["P-256", "SM2"])
def test_a_responder_that_the_authority_certified_for_this_is_heard_and_no_other(kind: str) -> None:
    above = root(KEYS[kind]())
    chain = chain_of(above)
    ours = responder(above, ExtendedKeyUsageOID.OCSP_SIGNING)
    assert told(known(answers=[answer(above, chain, GOOD, responder=ours)]), chain) == "good"
    for other in (
        responder(above),
        responder(above, ExtendedKeyUsageOID.SERVER_AUTH),
        responder(root(KEYS[kind]()), ExtendedKeyUsageOID.OCSP_SIGNING),
    ):
        assert told(known(answers=[answer(above, chain, GOOD, responder=other)]), chain) == "REVOCATION_UNKNOWN"


@pytest.mark.parametrize(
    ("key_usage", "expected"),
    [
        (None, "good"),
        (usage(signs=True), "good"),
        (usage(), "REVOCATION_UNKNOWN"),
        (usage(authority=True), "REVOCATION_UNKNOWN"),
    ],
)
def test_a_responder_whose_key_may_not_sign_is_not_heard(key_usage: x509.KeyUsage | None, expected: str) -> None:
    ours = responder(ROOT, ExtendedKeyUsageOID.OCSP_SIGNING, key_usage=key_usage)
    assert told(known(answers=[answer(ROOT, CHAIN, GOOD, responder=ours)])) == expected


def test_a_responder_that_was_revoked_itself_is_not_heard() -> None:
    ours = responder(ROOT, ExtendedKeyUsageOID.OCSP_SIGNING, serial=99)
    good = [answer(ROOT, CHAIN, GOOD, responder=ours)]
    elsewhere = [(scope(only_contains_ca_certs=True), True)]

    for since in (NOW - HOUR, NOW + HOUR):
        assert told(known(ROOT.list_revoked({99: since}, extensions=elsewhere), answers=good)) == "REVOCATION_UNKNOWN"
    for other in (
        ROOT.list_revoked({98: NOW - HOUR}, extensions=elsewhere),
        ROOT.list_revoked({99: NOW - HOUR}, at=NOW - 8 * HOUR),
        root().list_revoked({99: NOW - HOUR}),
    ):
        assert told(known(other, answers=good)) == "good"


def test_what_a_revoked_responder_says_of_a_revocation_is_not_heard_either() -> None:
    ours = responder(ROOT, ExtendedKeyUsageOID.OCSP_SIGNING, serial=99)
    said = answer(ROOT, CHAIN, REVOKED, since=NOW - HOUR, responder=ours)
    assert told(known(answers=[said])) == "CERTIFICATE_REVOKED"
    assert told(known(ROOT.list_revoked({99: NOW - HOUR}), answers=[said])) == "good"


def test_a_responder_that_its_issuer_says_never_to_look_up_is_heard() -> None:
    ours = responder(ROOT, ExtendedKeyUsageOID.OCSP_SIGNING, serial=99, no_check=True)
    revoked = ROOT.list_revoked({99: NOW - HOUR}, extensions=[(scope(only_contains_ca_certs=True), True)])
    assert told(known(revoked, answers=[answer(ROOT, CHAIN, GOOD, responder=ours)])) == "good"


def test_an_answer_about_another_certificate_or_time_or_without_knowledge_says_nothing() -> None:
    elsewhere = root()
    for useless in (
        answer(ROOT, CHAIN, UNKNOWN),
        answer(ROOT, CHAIN, GOOD, other=chain_of(ROOT, serial=1)),
        answer(ROOT, CHAIN, GOOD, other=chain_of(elsewhere)),
        answer(elsewhere, CHAIN, GOOD),
        answer(ROOT, CHAIN, GOOD, at=NOW - 3 * HOUR, until=NOW - HOUR),
        answer(ROOT, CHAIN, GOOD, at=NOW - 8 * HOUR, until=None),
        answer(ROOT, CHAIN, GOOD, at=NOW + HOUR, until=NOW + 2 * HOUR),
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            serialization.Encoding.DER
        ),
        b"",
        b"junk",
    ):
        assert told(known(answers=[useless])) == "REVOCATION_UNKNOWN"


def test_one_source_that_knows_of_the_revocation_is_enough() -> None:
    revoked, good = ROOT.list_revoked({SERIAL: NOW - HOUR}), answer(ROOT, CHAIN, GOOD)
    assert told(known(revoked, answers=[good])) == "CERTIFICATE_REVOKED"
    assert told(known(ROOT.list_revoked({}), revoked)) == "CERTIFICATE_REVOKED"
    said = answer(ROOT, CHAIN, REVOKED, since=NOW - HOUR)
    assert told(known(ROOT.list_revoked({}), answers=[good, said])) == "CERTIFICATE_REVOKED"


@pytest.mark.parametrize("kind", ["P-256", "SM2"])
def test_a_damaged_answer_never_says_good(kind: str) -> None:
    above = root(KEYS[kind]())
    chain = chain_of(above)
    whole = answer(above, chain, GOOD)
    for at in range(0, len(whole), 7):
        bad = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        if at < len(whole) - 1:
            assert told(known(answers=[bad]), chain) == "REVOCATION_UNKNOWN"
