"""From the section `[signatures]` of the configuration to what accepts signatures; every mistake named at once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import serialization

from gateway.config import (
    OperatorIssuerSettings,
    PlatformKeySettings,
    PlatformSettings,
    SignatureSettings,
    TimestampSettings,
)
from gateway.errors import ConfigurationError, SignatureRefused
from gateway.signatures import FindStaffKey, RevocationSettings, Signatures, StaffKey, Trust
from gateway.signatures.algorithms import read_public_key, require_algorithm
from gateway.signatures.certificates import Certificate, load_anchors
from gateway.signatures.chain import Chains
from gateway.signatures.kept_roots import keep_roots, kept_roots
from gateway.signatures.operators import OperatorIssuer
from gateway.signatures.platform import ALGORITHMS, Platform, PlatformKey
from gateway.signatures.revocation import RevocationRule
from gateway.signatures.statuses import StatusSources, unnoticed
from gateway.signatures.timestamps import MOST_TOLERANCE, StampRules
from gateway.signatures.witnessed import WitnessRules
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.token import load_roots
from ledger.errors import ExtraMissing, KeyFileError

_Opened = TypeVar("_Opened")


async def no_staff_key(_record: bytes) -> StaffKey | None:
    """Find no key: where nobody enrols keys of clerks, no witnessed signature is accepted."""
    return None


def open_signatures(
    settings: SignatureSettings, staff_keys: FindStaffKey = no_staff_key, count: Callable[[str], None] = unnoticed
) -> Signatures:
    """Read anchors, keys and root certificates, and make what accepts signatures; `count` is of `StatusSources`.

    Raises:
        ConfigurationError: names every file that cannot be used.
    """
    mistakes: list[str] = []
    anchors = _noting(mistakes, lambda: load_anchors(settings.anchors_files)) or ()
    platforms = [_platform(one, mistakes) for one in settings.platforms]
    stamps = settings.timestamps
    authority = None if stamps is None else _noting(mistakes, lambda: _authority(stamps))
    if stamps is not None and stamps.tolerance > MOST_TOLERANCE:
        mistakes.append(f"signatures.timestamps.tolerance: at most {MOST_TOLERANCE // timedelta(minutes=1)}m")
    if mistakes:
        raise ConfigurationError("signatures", mistakes)
    return Signatures(
        _trust(settings, anchors, platforms),
        staff_keys=staff_keys,
        revocation=RevocationSettings(
            rule=RevocationRule(settings.revocation),
            fresh=settings.revocation_fresh,
            every=settings.revocation_every,
            sources=status_sources(settings, count),
        ),
        timestamps=authority,
        stamp_rules=None if stamps is None else StampRules(required=stamps.required, tolerance=stamps.tolerance),
    )


def status_sources(settings: SignatureSettings, count: Callable[[str], None] = unnoticed) -> StatusSources:
    """Say where revocation lists and OCSP answers come from, and where lists are kept."""
    return StatusSources(
        folder=settings.revocation_folder,
        list_urls=settings.revocation_urls,
        ocsp_url=settings.ocsp_url,
        kept=settings.kept_lists_folder,
        timeout=settings.revocation_timeout.total_seconds(),
        longest_list=settings.revocation_list_max_bytes,
        count=count,
    )


def timestamp_roots(settings: SignatureSettings) -> Iterator[bytes]:
    """Give the root certificates (PEM) under which stamps may verify: those configured, then those kept."""
    if settings.timestamps is not None:
        with contextlib.suppress(OSError):
            yield settings.timestamps.tsa_root_file.read_bytes()
    yield from kept_roots(settings.kept_lists_folder)


def keep_timestamp_roots(settings: SignatureSettings) -> None:
    """Keep the configured root certificates for the packs of what is stamped under them, whatever is configured later.

    Raises:
        ConfigurationError: they cannot be kept.
    """
    if settings.timestamps is None:
        return
    try:
        content = settings.timestamps.tsa_root_file.read_bytes()
    except OSError:  # which is named with every other mistake of the section
        return
    try:
        keep_roots(settings.kept_lists_folder, content)
    except OSError as error:
        mistake = f"{settings.kept_lists_folder}: root certificates cannot be kept ({error.strerror})"
        raise ConfigurationError("signatures.kept_lists_folder", [mistake]) from error


def _trust(settings: SignatureSettings, anchors: Sequence[Certificate], platforms: Sequence[Platform]) -> Trust:
    chains = Chains(anchors, most_intermediates=settings.most_intermediates, policies=settings.required_policies)
    witness = WitnessRules(tolerance=settings.witness_tolerance, most_image_bytes=settings.handwriting_max_bytes)
    return Trust(chains=chains, platforms=tuple(platforms), witness=witness)


def open_operators(settings: Sequence[OperatorIssuerSettings]) -> tuple[OperatorIssuer, ...]:
    """Read the keys of the identity providers that say who acts.

    Raises:
        ConfigurationError: names every file that cannot be used.
    """
    mistakes: list[str] = []
    served = Counter(one.issuer.issuer for one in settings)
    found = tuple(
        OperatorIssuer(
            unit=one.unit,
            platform=_platform(one.issuer, mistakes),
            required=one.required,
            is_shared=served[one.issuer.issuer] > 1,
        )
        for one in settings
    )
    if mistakes:
        raise ConfigurationError("operators", mistakes)
    return found


def _platform(settings: PlatformSettings, mistakes: list[str]) -> Platform:
    keys = [key for one in settings.keys if (key := _platform_key(one, mistakes)) is not None]
    return Platform(
        issuer=settings.issuer,
        audience=settings.audience,
        keys=tuple(keys),
        leeway=settings.leeway,
        longest_life=settings.longest_life,
    )


def _platform_key(settings: PlatformKeySettings, mistakes: list[str]) -> PlatformKey | None:
    try:
        info = _public_key_info(settings.public_key_file)
        key = read_public_key(info)
        require_algorithm(ALGORITHMS[settings.algorithm], key)
    except (OSError, ValueError) as error:
        mistakes.append(f"{settings.public_key_file}: holds no public key (PEM) ({type(error).__name__})")
    except SignatureRefused as error:
        mistakes.append(f"{settings.public_key_file}: {error}")
    else:
        return PlatformKey(kid=settings.kid, algorithm=settings.algorithm, key=key, public_key=info)
    return None


def _public_key_info(path: Path) -> bytes:
    key = serialization.load_pem_public_key(path.read_bytes())
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _authority(settings: TimestampSettings) -> TimestampAuthority:
    roots = load_roots(settings.tsa_root_file, settings.tsa_policy)
    return TimestampAuthority(settings.tsa_url, roots, timeout=settings.timeout.total_seconds())


def _noting(mistakes: list[str], open_: Callable[[], _Opened]) -> _Opened | None:
    try:
        return open_()
    except ConfigurationError as error:
        mistakes += error.mistakes
    except (KeyFileError, ExtraMissing) as error:
        mistakes.append(str(error))
    return None
