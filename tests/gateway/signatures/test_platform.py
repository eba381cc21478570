"""Assertions of real-name platforms: each rule refused by its own code, and no choice left to the header."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.algorithms import read_public_key
from gateway.signatures.chain import Chains
from gateway.signatures.evidence import Clerk, PlatformEvidence, Signatory
from gateway.signatures.platform import Platform, PlatformKey, encode, id_number_digest
from gateway.signatures.verification import Act, Trust, Verified, verify_act
from tests.gateway.signatures.authorities import NAME, NOW, NUMBER, Key, p256, public_key_info, sign

DOCUMENT = '{"statement":"以上属实"}'.encode()
ISSUER, AUDIENCE = "https://identity.example", "chengxin"
SIGNATORY = Signatory(id_type="resident-id", id_number=NUMBER, name=NAME)
KEYS: dict[str, Key] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ES256": p256(),
    "PS256": rsa.generate_private_key(65537, 3072),
}
"""By algorithm, which is also the key's id here."""


def platform_key(kid: str, algorithm: str, key: Key) -> PlatformKey:
    info = public_key_info(key)
    return PlatformKey(kid=kid, algorithm=algorithm, key=read_public_key(info), public_key=info)


TRUST = Trust(
    chains=Chains([]),
    platforms=(
        Platform(issuer="https://other.example", audience=AUDIENCE, keys=(platform_key("theirs", "ES256", p256()),)),
        Platform(
            issuer=ISSUER, audience=AUDIENCE,
            keys=tuple(platform_key(algorithm, algorithm, key) for algorithm, key in KEYS.items()),
        ),
    ),
)  # fmt: skip


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "iss": ISSUER, "aud": AUDIENCE, "iat": int(NOW.timestamp()) - 30, "exp": int(NOW.timestamp()) + 300,
        "nonce": encode(hashlib.sha256(DOCUMENT).digest()), "name": NAME, "id_number_digest": id_number_digest(NUMBER),
    }  # fmt: skip
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def jws_signature(key: Key, signed: bytes) -> bytes:
    name, signature = sign(key, signed)
    if name.startswith("ECDSA"):
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return signature


def token(body: Any = None, *, alg: str = "ES256", kid: str = "", key: Key = None, header: Any = None) -> str:
    head = {"alg": alg, "kid": kid or alg, "typ": "JWT"} if header is None else header
    content = body if isinstance(body, bytes) else json.dumps(claims() if body is None else body).encode()
    signed = f"{encode(json.dumps(head).encode())}.{encode(content)}"
    return f"{signed}.{encode(jws_signature(key or KEYS[alg], signed.encode()))}"


def verified(jws: str) -> Verified:
    act = Act(
        document=DOCUMENT, evidence=PlatformEvidence(jws=jws), signatory=SIGNATORY, clerk=Clerk(person="c", unit="u")
    )
    return verify_act(act, TRUST, at=NOW)


def refused(jws: str) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verified(jws)
    assert caught.value.chinese
    assert NAME not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("algorithm", KEYS)
def test_an_assertion_is_accepted_with_every_algorithm(algorithm: str) -> None:
    found = verified(token(alg=algorithm))
    assert found.kept["kid"] == algorithm
    assert found.kept["public_key"] == public_key_info(KEYS[algorithm]).hex()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://nobody.example"}, "ASSERTION_ISSUER_UNKNOWN"),
        ({"iss": None}, "ASSERTION_ISSUER_UNKNOWN"),
        ({"aud": "somebody-else"}, "ASSERTION_AUDIENCE"),
        ({"aud": ["a", "b"]}, "ASSERTION_AUDIENCE"),
        ({"aud": {"chengxin": 1}}, "ASSERTION_AUDIENCE"),
        ({"aud": None}, "ASSERTION_INCOMPLETE"),
        ({"exp": None}, "ASSERTION_INCOMPLETE"),
        ({"iat": None}, "ASSERTION_INCOMPLETE"),
        ({"exp": "never"}, "ASSERTION_INCOMPLETE"),
        ({"exp": True}, "ASSERTION_INCOMPLETE"),
        ({"exp": 1e400}, "ASSERTION_INCOMPLETE"),
        ({"nbf": "soon"}, "ASSERTION_INCOMPLETE"),
        ({"name": None}, "ASSERTION_INCOMPLETE"),
        ({"nonce": None}, "ASSERTION_INCOMPLETE"),
        ({"id_number_digest": 7}, "ASSERTION_INCOMPLETE"),
        ({"nonce": encode(hashlib.sha256(b"another").digest())}, "ASSERTION_NONCE"),
        ({"nonce": hashlib.sha256(DOCUMENT).hexdigest()}, "ASSERTION_NONCE"),
        ({"nonce": ""}, "ASSERTION_NONCE"),
        ({"name": "示例乙"}, "SIGNER_NOT_APPLICANT"),
        ({"id_number_digest": id_number_digest("230199198001010099")}, "SIGNER_NOT_APPLICANT"),
        ({"id_number_digest": ""}, "SIGNER_NOT_APPLICANT"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused_by_its_own_code(changes: dict[str, Any], code: str) -> None:
    assert refused(token(claims(**changes))) == code


def test_a_name_as_a_document_keeps_it_is_compared_as_names_are_and_one_of_which_nothing_is_seen_is_nobodys() -> None:
    def holds(kept: str, asserted: str) -> bool:
        signatory = Signatory(id_type="resident-id", id_number=NUMBER, name=kept)
        evidence = PlatformEvidence(jws=token(claims(name=asserted)))
        act = Act(document=DOCUMENT, evidence=evidence, signatory=signatory, clerk=Clerk(person="c", unit="u"))
        try:
            verify_act(act, TRUST, at=NOW)
        except SignatureRefused:
            return False
        return True

    assert holds(f"{NAME}\u2800", NAME)
    assert holds(f"{NAME}\u2800", f"{NAME}\u2800")
    assert not holds(f"{NAME}\u2800", "示例乙")
    assert not holds("\u2800", "\u2800")


@given(st.integers(-3600, 3600), st.integers(1, 3600), st.none() | st.integers(-3600, 3600))
def test_an_assertion_holds_only_in_its_time(issued_s: int, life_s: int, nbf_s: int | None) -> None:
    now = int(NOW.timestamp())
    jws = token(claims(iat=now + issued_s, exp=now + issued_s + life_s, nbf=None if nbf_s is None else now + nbf_s))
    if nbf_s is not None and nbf_s >= issued_s + life_s:
        assert refused(jws) == "ASSERTION_NEVER_VALID"
    elif issued_s + life_s + 60 < 0:
        assert refused(jws) == "ASSERTION_EXPIRED"
    elif max(issued_s, nbf_s or issued_s) - 60 > 0:
        assert refused(jws) == "ASSERTION_NOT_YET_VALID"
    elif life_s > 900:
        assert refused(jws) == "ASSERTION_TOO_LONG_LIVED"
    else:
        verified(jws)


@pytest.mark.parametrize("life_s", [0, -1, -50])
def test_an_assertion_that_ends_before_it_begins_is_refused_however_near(life_s: int) -> None:
    now = int(NOW.timestamp())
    assert refused(token(claims(iat=now, exp=now + life_s))) == "ASSERTION_NEVER_VALID"
    assert refused(token(claims(iat=now - 60, nbf=now, exp=now + life_s))) == "ASSERTION_NEVER_VALID"


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "\ud800"},
        {"name": f"{NAME}\udc00"},
        {"id_number_digest": "\udfff"},
        {"iss": "\ud800"},
        {"aud": [AUDIENCE, "\ud800"]},
        {"more": {"deep": ["\udbff"]}},
        {"\ud800": 1},
    ],
)
def test_half_a_character_anywhere_is_no_assertion(changes: dict[str, Any]) -> None:
    assert refused(token(claims(**changes))) == "ASSERTION_MALFORMED"


def test_half_a_character_in_the_header_is_no_assertion() -> None:
    assert refused(token(header={"alg": "ES256", "kid": "ES256\ud800"})) == "ASSERTION_MALFORMED"
    assert refused(token(header={"alg": "ES256", "kid": "ES256", "typ": "\ud800"})) == "ASSERTION_MALFORMED"


def test_two_halves_of_a_character_are_one() -> None:
    verified(token(claims(device="\U00020087")))  # json.dumps writes it as two escapes


def test_the_audience_may_be_one_of_a_list() -> None:
    verified(token(claims(aud=["other", AUDIENCE])))


def test_the_header_chooses_neither_algorithm_nor_key() -> None:
    public_pem = serialization.load_der_public_key(public_key_info(KEYS["ES256"])).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = encode(json.dumps({"alg": "HS256", "kid": "ES256"}).encode())
    signed = f"{head}.{encode(json.dumps(claims()).encode())}"
    confused = f"{signed}.{encode(hmac.digest(public_pem, signed.encode(), 'sha256'))}"
    assert refused(confused) == "ASSERTION_ALGORITHM"
    assert refused(token(header={"alg": "none", "kid": "ES256"})) == "ASSERTION_ALGORITHM"
    assert refused(token(header={"alg": "PS256", "kid": "ES256"})) == "ASSERTION_ALGORITHM"
    assert refused(token(kid="elsewhere")) == "ASSERTION_KEY_UNKNOWN"
    assert refused(token(kid="theirs")) == "ASSERTION_KEY_UNKNOWN"
    assert refused(token(key=p256())) == "SIGNATURE_INVALID"
    unsigned = token().rpartition(".")[0] + "."
    assert refused(unsigned) == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "ES256"},
        {"alg": "ES256"},
        {"alg": "ES256", "kid": ""} | {"jwk": {}},
        {"alg": "ES256", "kid": "ES256", "jku": "https://evil.example"},
        {"alg": "ES256", "kid": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "kid": "ES256", "x5c": []},
        {"alg": ["ES256"], "kid": "ES256"},
        ["ES256"],
    ],
)
def test_a_header_that_says_more_or_less_is_refused(header: Any) -> None:
    assert refused(token(header=header)) == "ASSERTION_MALFORMED"


@pytest.mark.parametrize(
    "jws",
    [
        "", ".", "..", "a.b.c", "é.é.é", token() + ".", token() + "=", "x" * 9000,
        token().replace(".", "", 1), token(b"[]"), token(b"{}x"), token(b'{"iss":1,"iss":2}'), token(b"\xff"),
        token(b"[" * 5000),
    ],
)  # fmt: skip
def test_what_is_no_compact_jws_is_refused(jws: str) -> None:
    assert refused(jws) == "ASSERTION_MALFORMED"


def test_an_altered_claim_spoils_the_signature() -> None:
    head, body, signature = token().split(".")
    text = base64.urlsafe_b64decode(body + "==").decode().replace(str(claims()["exp"]), str(claims()["exp"] + 1))
    assert refused(f"{head}.{encode(text.encode())}.{signature}") == "SIGNATURE_INVALID"


def test_an_es256_twin_is_accepted_as_the_same_assertion() -> None:
    jws = token()
    head, _, signature = jws.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert verified(f"{head}.{encode(twin)}").kept["kid"] == verified(jws).kept["kid"]
