"""Lines that other people's logs and witnesses signed verify here, and nothing changed of them does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import NoteError, WrongKey, parse_vkey, parse_vkeys
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.checkpoint import parse_checkpoint
from ledger.log.note import open_note

PUBLISHED = Path(__file__).parent / "published"
ARCHE = (PUBLISHED / "arche.note").read_bytes()
COACHANDHORSES = (PUBLISHED / "coachandhorses.note").read_bytes()
NAVIGLI = parse_vkeys((PUBLISHED / "navigli.vkey").read_text())
LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
WITNESSES = (
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
)
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— "
    "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
    "OBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


@pytest.mark.parametrize(("note", "vkey"), [(GO_NOTE, GO_KEY), (C2SP_NOTE, C2SP_KEY), (ARCHE, LOG)])
def test_ed25519_lines_of_other_implementations_verify(note: bytes, vkey: str) -> None:
    key = parse_vkey(vkey)
    assert key.vkey == vkey
    assert open_note(note, [key]).signed_by == (key.name,)


@pytest.mark.parametrize("vkey", WITNESSES)
def test_ed25519_cosignatures_of_public_witnesses_verify(vkey: str) -> None:
    key = parse_vkey(vkey)
    opened = open_note(ARCHE, [key])
    assert (key.vkey, opened.signed_by, cosigned_at(opened.lines[0])) == (vkey, (key.name,), 0x6A122120)


def test_all_lines_of_a_note_are_verified_when_all_keys_are_known() -> None:
    opened = open_note(ARCHE, [parse_vkey(vkey) for vkey in (LOG, *WITNESSES)])
    assert len(opened.signed_by) == len(opened.lines) == 5


@pytest.mark.parametrize("key", NAVIGLI, ids=["ml-dsa-44", "ed25519"])
def test_both_cosignatures_of_a_public_witness_verify_each_with_its_key_alone(key: object) -> None:
    opened = open_note(COACHANDHORSES, [key])  # type: ignore[list-item]
    assert len(opened.lines) == 1
    assert parse_checkpoint(opened.text).size == 185_550_722


@pytest.mark.parametrize("key", NAVIGLI, ids=["ml-dsa-44", "ed25519"])
@pytest.mark.parametrize(("old", "new"), [(b"185550722", b"185550723"), (b"YXAM", b"YXAN"), (b".goog\n1", b".gooh\n1")])
def test_a_changed_checkpoint_does_not_verify(key: object, old: bytes, new: bytes) -> None:
    assert COACHANDHORSES.count(old) == 1
    with pytest.raises(NoteError, match="bad cosignature"):
        open_note(COACHANDHORSES.replace(old, new), [key])  # type: ignore[list-item]


def test_the_same_key_under_another_name_is_another_key() -> None:
    stranger = type(NAVIGLI[0])("witness.example/w1", NAVIGLI[0].public)  # type: ignore[call-arg]
    with pytest.raises(WrongKey):
        open_note(COACHANDHORSES, [stranger])
