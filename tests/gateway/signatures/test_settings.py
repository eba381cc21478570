"""The section `[signatures]`: every mistake named at once, in the file and in the files it names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.bootstrap.signatures import open_signatures
from gateway.cli import cli
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House, found
from tests.gateway.journeys.test_signatures import pem
from tests.gateway.signatures.authorities import p256, public_key_info

SOURCES = (
    '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    '[sources.civil.facts.cremation-record]\nkey = "a"\n'
)
PLATFORM = """
[[signatures.platforms]]
issuer = "https://identity.example"
audience = "chengxin"
[[signatures.platforms.keys]]
kid = "1"
algorithm = "ES256"
public_key_file = "platform.pem"
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES)


def rewrite(house: House, *changes: tuple[str, str], more: str = "") -> None:
    text = house.config.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    house.config.write_text(text + more, "utf-8")


def mistakes(house: House) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        open_signatures(load_settings(house.config).signatures).close()
    return list(caught.value.mistakes)


def test_every_wrong_key_of_the_section_is_named(house: House) -> None:
    rewrite(
        house,
        ('revocation = "off"', 'revocation = "maybe"'),
        ("required_policies = []", 'required_policies = ["1.2.3", "one"]'),
        ("most_intermediates = 3", "most_intermediates = 9"),
        ('witness_tolerance = "15m"', 'witness_tolerance = "soon"'),
        ("handwriting_max_bytes = 262144", "handwriting_max_bytes = 1"),
        ('anchors_files = ["signers/ca.crt"]', "anchors = 1"),
        more='[[signatures.platforms]]\nissuer = "a"\n'
        + PLATFORM
        + PLATFORM
        + '[[signatures.platforms.keys]]\nkid = "1"\n',
    )
    told = mistakes(house)
    for part in (
        "signatures.anchors: is not known", "signatures.anchors_files: is missing", "signatures.revocation",
        "signatures.required_policies: 'one'", "signatures.most_intermediates", "signatures.witness_tolerance",
        "signatures.handwriting_max_bytes", "signatures.platforms[0].audience", "signatures.platforms[0].keys",
        "signatures.platforms[2].issuer: is given twice", "signatures.platforms[2].keys[1].kid: is given twice",
        "signatures.platforms[2].keys[1].public_key_file",
    ):  # fmt: skip
        assert any(part in one for one in told), part
    assert len(told) == 12


def test_every_file_that_cannot_be_used_is_named(house: House) -> None:
    (house.home / "platform.pem").write_bytes(b"junk")
    (house.home / "junk.pem").write_bytes(b"junk")
    stamps = f'{STAMPS}tsa_policy = "x"\n'
    rewrite(house, ('["signers/ca.crt"]', '["junk.pem", "none.pem"]'), more=PLATFORM + stamps)
    told = mistakes(house)
    assert len(told) == 4
    for name in ("junk.pem", "none.pem", "platform.pem", "policy"):
        assert any(name in one for one in told), name


STAMPS = '[signatures.timestamps]\ntsa_url = "http://127.0.0.1:1"\ntsa_root_file = "none.pem"\n'


@pytest.mark.parametrize("tolerance", ['"0s"', '"soon"', "5"])
def test_what_is_no_tolerance_of_time_stamps_is_named(house: House, tolerance: str) -> None:
    rewrite(house, more=f"{STAMPS}tolerance = {tolerance}\n")
    (told,) = mistakes(house)
    assert "signatures.timestamps.tolerance" in told


def test_a_tolerance_of_time_stamps_that_tolerates_anything_is_named_beside_other_mistakes(house: House) -> None:
    rewrite(house, ('["signers/ca.crt"]', '["junk.pem"]'), more=f'{STAMPS}tolerance = "61m"\n')
    told = mistakes(house)
    assert len(told) == 3
    for part in ("junk.pem", "none.pem", "signatures.timestamps.tolerance: at most 60m"):
        assert any(part in one for one in told), part


def test_a_platforms_key_is_of_the_algorithm_it_is_configured_with(house: House) -> None:
    rewrite(house, more=PLATFORM)
    weak, other = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 3072)
    for key, why in ((other, "ALGORITHM_MISMATCH"), (weak, "ALGORITHM_MISMATCH")):
        (house.home / "platform.pem").write_bytes(pem("PUBLIC KEY", public_key_info(key)))
        assert why in mistakes(house)[0]
    (house.home / "platform.pem").write_bytes(pem("PUBLIC KEY", public_key_info(p256())))
    open_signatures(load_settings(house.config).signatures).close()


def test_anchors_may_still_stand_where_they_stood(house: House) -> None:
    rewrite(
        house, ('anchors_files = ["signers/ca.crt"]', ""), ("[commitments]", '[commitments]\nanchors_file = "a.pem"')
    )
    assert load_settings(house.config).signatures.anchors_files == (house.home.resolve() / "a.pem",)


def test_check_config_opens_what_signatures_need(house: House) -> None:
    rewrite(house, ('["signers/ca.crt"]', '["none.pem"]'))
    done = CliRunner().invoke(cli, ["check-config", "--config", str(house.config)])
    assert isinstance(done.exception, ConfigurationError)
    assert "none.pem" in str(done.exception)
