"""The fixed keys, records, salts and times of the vectors."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.log.algorithms.ed25519 import Ed25519Signer

ORIGIN = "vectors.example/log"
START = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)


def fixed(label: str, length: int = 32) -> bytes:
    """Bytes that look random and are the same each time."""
    return hashlib.shake_256(b"chengxin vectors: " + label.encode()).digest(length)


def signer(label: str, name: str = ORIGIN) -> Ed25519Signer:
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(fixed(f"key {label}")))


LOG = signer("log")
OLD = signer("the log's key before")
STRANGER = signer("stranger")
ELSEWHERE = signer("elsewhere", "elsewhere.example/log")
VKEY, OLD_VKEY = LOG.verifier.vkey, OLD.verifier.vkey


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def line(name: str, key_id: bytes, signature: bytes) -> str:
    """One signature line of a note."""
    return f"\u2014 {name} {base64.b64encode(key_id + signature).decode()}\n"


def cosignature_line(text: str) -> str:
    """A true Ed25519 cosignature (type 0x04) of a witness: https://c2sp.org/tlog-cosignature."""
    name, key = "witness.example/w1", Ed25519PrivateKey.from_private_bytes(fixed("key witness"))
    key_id = hashlib.sha256(name.encode() + b"\n\x04" + key.public_key().public_bytes_raw()).digest()[:4]
    time = int(START.timestamp())
    signature = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    return line(name, key_id, time.to_bytes(8, "big") + signature)


def other_algorithm_lines() -> str:
    """Lines of ML-DSA-44 (0x06) and of unassigned algorithms (0xff), of the right shape; nobody here has their keys."""
    return "".join(
        line(name, fixed(f"id {kind}", 4), fixed(f"signature {kind}", length))
        for name, kind, length in ((ORIGIN, "0x06", 8 + 2420), (ORIGIN, "0xff SM2", 64), ("別.example/鑰", "0xff", 1))
    )
