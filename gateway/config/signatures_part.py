"""The part `[signatures]` of the configuration, read."""

from __future__ import annotations

import re
from pathlib import Path

from connectors.stanza import Stanza
from gateway.config.model import PlatformKeySettings, PlatformSettings, SignatureSettings, TimestampSettings

_OBJECT_IDENTIFIER = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,30})){1,20}")


def read_signatures(part: Stanza, home: Path) -> SignatureSettings:
    """Read `[signatures]`; mistakes are noted in the part."""
    return SignatureSettings(
        anchors_files=tuple(home / name for name in part.texts("anchors_files", None)),
        required_policies=_object_identifiers(part, "required_policies"),
        most_intermediates=part.number("most_intermediates", 3, most=4),
        revocation=part.choice("revocation", ("require", "if-available", "off"), "off"),
        revocation_folder=home / part.text("revocation_folder", "signers/revocation"),
        revocation_urls=part.texts("revocation_urls"),
        ocsp_url=part.text("ocsp_url", ""),
        revocation_fresh=part.duration("revocation_fresh", "7d"),
        revocation_every=part.duration("revocation_every", "10m"),
        revocation_timeout=part.duration("revocation_timeout", "5s"),
        revocation_list_max_bytes=part.number("revocation_list_max_bytes", 64 << 20, least=1024, most=128 << 20),
        kept_lists_folder=home / part.text("kept_lists_folder", "signers/kept"),
        witness_tolerance=part.duration("witness_tolerance", "15m"),
        handwriting_max_bytes=part.number("handwriting_max_bytes", 256 << 10, least=1024, most=1 << 20),
        platforms=_platforms(part.listed("platforms"), home),
        timestamps=_timestamps(part.table("timestamps"), home) if "timestamps" in part else None,
    )


def _object_identifiers(part: Stanza, key: str) -> tuple[str, ...]:
    named = part.texts(key)
    for one in named:
        if not _OBJECT_IDENTIFIER.fullmatch(one):
            part.mistake(key, f"{one!r} is not an object identifier such as 1.2.3.4")
    return named


def _platforms(parts: list[Stanza], home: Path) -> tuple[PlatformSettings, ...]:
    found: list[PlatformSettings] = []
    for part in parts:
        platform = read_platform(part, home)
        if platform.issuer and platform.issuer in [one.issuer for one in found]:
            part.mistake("issuer", "is given twice")
        found.append(platform)
    return tuple(found)


def read_platform(part: Stanza, home: Path) -> PlatformSettings:
    """Read an issuer of assertions and its keys; mistakes are noted in the part."""
    return PlatformSettings(
        issuer=part.text("issuer"),
        audience=part.text("audience"),
        leeway=part.duration("leeway", "60s"),
        longest_life=part.duration("longest_life", "15m"),
        keys=_platform_keys(part, home),
    )


def _platform_keys(part: Stanza, home: Path) -> tuple[PlatformKeySettings, ...]:
    found: list[PlatformKeySettings] = []
    for key in part.listed("keys"):
        kid = key.text("kid")
        if kid and kid in [one.kid for one in found]:
            key.mistake("kid", "is given twice")
        algorithm = key.choice("algorithm", ("EdDSA", "Ed25519", "ES256", "PS256"), "EdDSA")
        file = home / key.text("public_key_file")
        found.append(PlatformKeySettings(kid=kid, algorithm=algorithm, public_key_file=file))
    if not found:
        part.mistake("keys", "at least one key is needed")
    return tuple(found)


def _timestamps(part: Stanza, home: Path) -> TimestampSettings:
    return TimestampSettings(
        tsa_url=part.text("tsa_url"),
        tsa_root_file=home / part.text("tsa_root_file"),
        tsa_policy=part.text("tsa_policy", ""),
        timeout=part.duration("timeout", "5s"),
        tolerance=part.duration("tolerance", "5m"),
        required=part.flag("required", True),
    )
