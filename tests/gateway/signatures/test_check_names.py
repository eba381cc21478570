"""check.py of evidence packs accuses no signer whom the gateway took for the person in the document, and no fewer."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from datetime import date, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from connectors.names import is_invisible, normal_name
from gateway.evidence_pack.check import is_seen, named_in, plain, same_number
from gateway.rules.identifiers import IdentifierRefused, parse_resident_id
from gateway.signatures import certificates
from tests.gateway.signatures.authorities import NOW, p256

TODAY = date(2026, 11, 24)
NUMBER = "11010519491231002X"
OLD = "110105491231002"
SIGNS = [
    *"张葛龴㑇𠂇王·•・.。．｡‥…",
    *"LiÉe\u0301 \u3000\t\u00a0",
    *"\u200b\u00ad\u034f\u115f\u3164\uffa0\u2800\ufe00\U000e0100\u180e\u2066",
    *"\ue815\ue816\ue81a\ue864\ue865\uf8ff",
    *"ｱﾞ１－-ﬁ",
]


def test_what_is_not_seen_is_the_same_for_both() -> None:
    differing = [hex(code) for code in range(sys.maxunicode + 1) if is_seen(chr(code)) is is_invisible(chr(code))]
    assert differing == []


def test_a_name_with_any_character_is_compared_as_the_gateway_compares_it() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)):
        written = f"葛{chr(code)}平 {chr(code)}"
        assert plain(written) == normal_name(written), hex(code)


def test_names_of_several_odd_characters_are_compared_as_the_gateway_compares_them() -> None:
    chance = random.Random(11)
    for _ in range(50_000):
        written = "".join(chance.choices(SIGNS, k=chance.randrange(1, 9)))
        assert plain(written) == normal_name(written), ascii(written)


@pytest.mark.parametrize(
    "written",
    [
        NUMBER,
        NUMBER.lower(),
        "110105-19491231-002X",
        " 110105 19491231 002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105\u200b19491231\u00ad002X",
        OLD,
        "110105-491231-002",
    ],
)
def test_a_number_in_whatever_way_the_gateway_reads_it_is_the_same(written: str) -> None:
    assert parse_resident_id(written, today=TODAY).number == NUMBER
    assert same_number(written, NUMBER)


@pytest.mark.parametrize(
    "written",
    ["", "110105194912310021", "110105.19491231.002X", "110105_19491231_002X", "110105491231003", "X" + NUMBER],
)
def test_another_number_is_another_and_so_is_one_that_the_gateway_does_not_read(written: str) -> None:
    with suppress(IdentifierRefused):
        assert parse_resident_id(written, today=TODAY).number != NUMBER
    assert not same_number(written, NUMBER)


def test_an_old_number_is_of_the_20th_century_only() -> None:
    born_1849 = "11010518491231002X"
    assert not same_number(OLD, born_1849)


@pytest.mark.parametrize(
    "kind",
    [
        _ASN1Type.UTF8String,
        _ASN1Type.NumericString,
        _ASN1Type.PrintableString,
        _ASN1Type.T61String,
        _ASN1Type.IA5String,
        _ASN1Type.VisibleString,
        _ASN1Type.UniversalString,
        _ASN1Type.BMPString,
    ],
)
def test_a_name_in_a_certificate_is_read_in_every_type_of_text_that_the_gateway_reads(kind: _ASN1Type) -> None:
    name, key = "Li San", p256()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name, _type=kind),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, NUMBER, _type=kind),
        ]
    )
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    made = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert certificates.named_in(certificates.parse_certificate(made)) == (name, NUMBER)
    assert named_in(made) == ([name], [NUMBER])
