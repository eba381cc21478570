"""Checkpoints as notes: those that open, and those that must not."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.checkpoint import Checkpoint
from tests.vectors.keys import (
    ELSEWHERE,
    LOG,
    OLD,
    OLD_VKEY,
    ORIGIN,
    STRANGER,
    VKEY,
    cosignature_line,
    line,
    other_algorithm_lines,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCase:
    """A note, how to open it, and the error expected (None: it opens)."""

    why: str
    note: bytes
    error: str | None = None
    vkeys: tuple[str, ...] = field(default=(VKEY,))
    origin: str = ORIGIN


def sign(text: str, signers: Sequence[Ed25519Signer] = (LOG,), *, more: str = "") -> bytes:
    """Sign any text, also one that is no checkpoint, so that nothing but the text can be wrong with it."""
    lines = "".join(line(one.name, one.key_id, one.sign(text.encode())) for one in signers)
    return f"{text}\n{lines}{more}".encode()


def opening(size: int, root: bytes) -> Iterator[NoteCase]:
    """Notes that open, of a log of this size and root."""
    text = Checkpoint(origin=ORIGIN, size=size, root=root).text()
    history = (OLD_VKEY, VKEY)
    yield NoteCase(why="one signature", note=sign(text))
    yield NoteCase(why="signed by the key before, when both keys are given", note=sign(text, [OLD]), vkeys=history)
    yield NoteCase(why="signed by both keys", note=sign(text, [OLD, LOG]), vkeys=history)
    yield NoteCase(why="signed by both keys, one of them given", note=sign(text, [OLD, LOG]))
    yield NoteCase(why="a stranger's line is ignored", note=sign(text, [STRANGER, ELSEWHERE, LOG]))
    yield NoteCase(why="a witness's line (0x04) is ignored", note=sign(text, more=cosignature_line(text)))
    yield NoteCase(why="lines of other algorithms are ignored", note=sign(text, more=other_algorithm_lines()))
    wrong = line(ORIGIN, STRANGER.key_id, bytes(64))
    yield NoteCase(why="a bad line of an unknown key with the log's name is ignored", note=sign(text, more=wrong))
    yield NoteCase(why="the same good line twice", note=sign(text, [LOG, LOG]))
    yield NoteCase(why="64 signatures", note=sign(text, [LOG, *[ELSEWHERE] * 63]))
    longest = line("鑰" * 85, b"abcd", b"signature")
    yield NoteCase(why="a key name of 255 bytes", note=sign(text, more=longest))
    yield NoteCase(why="extension lines", note=sign(text + "extension one\nдва 二\n"))
    yield NoteCase(why="a vkey with the newline that ends its line", note=sign(text), vkeys=(f"{VKEY}\n",))


def refused(size: int, root: bytes) -> Iterator[NoteCase]:
    """Notes that must not open: signatures first, then the note's form, then the checkpoint's."""
    text = Checkpoint(origin=ORIGIN, size=size, root=root).text()
    yield from _badly_signed(text)
    yield from _malformed_notes(text)
    yield from _malformed_checkpoints(size, root)
    yield from _wrong_keys(text)


def _badly_signed(text: str) -> Iterator[NoteCase]:
    good = sign(text)
    bad = line(ORIGIN, LOG.key_id, bytes(64))
    history = (OLD_VKEY, VKEY)

    def case(why: str, note: bytes, error: str = "NoteError", **more: tuple[str, ...]) -> NoteCase:
        return NoteCase(why=why, note=note, error=error, **more)  # type: ignore[arg-type]

    yield case("a stranger's signature alone", sign(text, [STRANGER]), "WrongKey")
    yield case(
        "the log's name with a stranger's key id", sign(text, [], more=line(ORIGIN, b"abcd", bytes(64))), "WrongKey"
    )
    yield case("a key of another name", sign(text, [ELSEWHERE]), "WrongKey")
    yield case("a witness's cosignature alone", sign(text, [], more=cosignature_line(text)), "WrongKey")
    yield case("other algorithms alone", sign(text, [], more=other_algorithm_lines()), "WrongKey")
    yield case("signed by the key before, which is not given", sign(text, [OLD]), "WrongKey")
    yield case("no key given", good, "WrongKey", vkeys=())
    yield case("a bad signature", sign(text, [], more=bad))
    yield case("a bad signature after a good one of the same key", sign(text, more=bad))
    yield case(
        "a bad signature before a good one of the same key", sign(text, [], more=bad + good.decode().split("\n\n")[1])
    )
    second = line(ORIGIN, OLD.key_id, bytes(64))
    yield case("a good signature beside a bad one of another known key", sign(text, more=second), vkeys=history)
    yield case("the signature of another text", sign(text).replace(b"\n\n", b"\nmore\n\n"))
    short = line(ORIGIN, LOG.key_id, LOG.sign(text.encode())[:-1])
    long = line(ORIGIN, LOG.key_id, LOG.sign(text.encode()) + b"\0")
    yield case("a signature of 63 bytes", sign(text, [], more=short))
    yield case("a signature of 65 bytes", sign(text, [], more=long))
    order = 2**252 + 27742317777372353535851937790883648493
    signature = LOG.sign(text.encode())
    shifted = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    yield case("a signature with s not below the group order", sign(text, [], more=line(ORIGIN, LOG.key_id, shifted)))


def _malformed_notes(text: str) -> Iterator[NoteCase]:
    good = sign(text)
    signature = good.decode().split("\n\n")[1]
    encoded = signature.split(" ")[2].strip()

    def case(why: str, note: bytes) -> NoteCase:
        return NoteCase(why=why, note=note, error="NoteError")

    yield case("nothing at all", b"")
    yield case("a newline", b"\n")
    yield case("no signature lines", text.encode() + b"\n")
    yield case("no empty line", good.replace(b"\n\n", b"\n"))
    yield case("no final newline", good[:-1])
    yield case("an empty line at the end", good + b"\n")
    yield case("an empty line among the signatures", good + b"\n" + signature.encode())
    yield case("carriage returns", good.replace(b"\n", b"\r\n"))
    yield case("one carriage return", good[:-1] + b"\r\n")
    yield case("a tab in the text", good.replace(b"\n", b"\t\n", 1))
    yield case("a null byte at the end", good + b"\0")
    yield case("not UTF-8", good.replace(b"vectors", b"vector\xff", 1))
    yield case("an overlong encoding", good.replace(b"vectors", b"vector\xc1\xb3", 1))
    yield case("a surrogate in UTF-8", good + line("a", b"abcd", b"x").encode().replace(b"a ", b"\xed\xa0\x80 ", 1))
    yield case("a byte order mark", b"\xef\xbb\xbf" + good)
    yield case("a hyphen for the dash", good.replace("\u2014".encode(), b"-"))
    yield case("an en dash for the em dash", good.replace("\u2014".encode(), "\u2013".encode()))
    yield case("no dash", good.replace("\u2014 ".encode(), b""))
    yield case("two spaces", good.replace("\u2014 ".encode(), "\u2014  ".encode()))
    yield case("a space at the end of the line", good[:-1] + b" \n")
    yield case("a fourth word", good[:-1] + b" more\n")
    yield case("no signature in the line", good.replace(encoded.encode(), b""))
    yield case("a malformed line of an unknown key", good + "\u2014 a.example\n".encode())
    yield case("a key name with a plus", good + line("a+b", b"abcd", b"signature").encode())
    yield case("a key name with a no-break space", good + line("a\u00a0b", b"abcd", b"signature").encode())
    yield case("a key name with an ideographic space", good + line("a\u3000b", b"abcd", b"signature").encode())
    yield case("a key name with a next-line character", good + line("a\u0085b", b"abcd", b"signature").encode())
    yield case("an empty key name", good + line("", b"abcd", b"signature").encode())
    yield case("a key name of 256 bytes", good + line("鑰" * 85 + "a", b"abcd", b"signature").encode())
    yield case("a signature without a byte after the key id", good + line("a", b"abcd", b"").encode())
    yield case("65 signatures", sign(text, [LOG, *[ELSEWHERE] * 64]))
    for why, wrong in other_base64(encoded):
        yield case(f"the signature in base64 {why}", good.replace(encoded.encode(), wrong.encode()))


def _malformed_checkpoints(size: int, root: bytes) -> Iterator[NoteCase]:
    """Each is well signed: only the text is wrong."""
    encoded = base64.b64encode(root).decode()

    def case(why: str, *lines: str, error: str = "NoteError", end: str = "\n") -> NoteCase:
        return NoteCase(why=why, note=sign("\n".join(lines) + end), error=error)

    n = str(size)
    yield case("the origin alone", ORIGIN)
    yield case("no root", ORIGIN, n)
    yield case("an empty root", ORIGIN, n, "")
    yield case("an empty origin", "", n, encoded)
    yield case("an empty extension line", ORIGIN, n, encoded, "", "extension")
    yield case("an empty line after the root", ORIGIN, n, encoded, "")
    for why, wrong in other_numbers(size):
        yield case(f"a size {why}", ORIGIN, wrong, encoded)
    yield case("a root of 31 bytes", ORIGIN, n, base64.b64encode(root[:31]).decode())
    yield case("a root of 33 bytes", ORIGIN, n, base64.b64encode(root + b"\0").decode())
    yield case("a root in hexadecimal", ORIGIN, n, root.hex())
    for why, wrong in other_base64(encoded):
        yield case(f"the root in base64 {why}", ORIGIN, n, wrong)
    yield case("another origin", "other.example/log", n, encoded, error="WrongOrigin")
    yield case("the origin in another case", ORIGIN.upper(), n, encoded, error="WrongOrigin")
    yield case("the origin with a slash at its end", f"{ORIGIN}/", n, encoded, error="WrongOrigin")
    yield case("the origin with a space at its end", f"{ORIGIN} ", n, encoded, error="WrongOrigin")


def _wrong_keys(text: str) -> Iterator[NoteCase]:
    good = sign(text)
    name, key_id, encoded = VKEY.split("+", 2)

    def case(why: str, vkey: str) -> NoteCase:
        return NoteCase(why=f"a vkey {why}", note=good, error="NoteError", vkeys=(vkey,))

    yield case("that is empty", "")
    yield case("of two parts", f"{name}+{key_id}")
    yield case("without a name", f"+{key_id}+{encoded}")
    yield case("of another name", f"other.example/log+{key_id}+{encoded}")
    yield case("with the id of another key", f"{name}+{STRANGER.key_id.hex()}+{encoded}")
    yield case("with its id in capitals", f"{name}+{key_id.upper()}+{encoded}")
    yield case("with a space in its name", f"vectors example+{key_id}+{encoded}")
    yield case("without its last byte", f"{name}+{key_id}+{base64.b64encode(base64.b64decode(encoded)[:-1]).decode()}")
    other = b"\x7f" + base64.b64decode(encoded)[1:]
    yield case("of an algorithm that nobody knows", f"{name}+{key_id}+{base64.b64encode(other).decode()}")
    yield case("in base64 with padding that it must not have", f"{name}+{key_id}+{encoded}=")
    yield case("with two newlines after it", f"{VKEY}\n\n")
    yield case("twice", f"{VKEY}\n{VKEY}")
    for space in " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u200b\u2028\u2029\u3000\ufeff\0":
        yield case(f"with U+{ord(space):04X} before it", space + VKEY)
        yield case(f"with U+{ord(space):04X} in its name", f"vectors{space}.example/log+{key_id}+{encoded}")
        if space != "\n":
            yield case(f"with U+{ord(space):04X} after it", VKEY + space)
            yield case(f"with U+{ord(space):04X} before its newline", f"{VKEY}{space}\n")


def other_numbers(value: int) -> Iterator[tuple[str, str]]:
    yield from (
        ("with a leading zero", f"0{value}"), ("with a plus", f"+{value}"), ("with a minus", f"-{value}"),
        ("with a space before", f" {value}"), ("with a space after", f"{value} "), ("in hexadecimal", hex(value)),
        ("with a fraction", f"{value}.0"), ("with an underscore", f"1_{value}"), ("of 2^63", str(2**63)),
        ("of 2^64", str(2**64)), ("of twenty digits", "1" * 20), ("in another script", "٣"),
        ("that is no number", "one"), ("with an exponent", f"{value}e0"),
    )  # fmt: skip


def other_base64(encoded: str) -> Iterator[tuple[str, str]]:
    """Other spellings of one value, and texts that are close to base64."""
    bare = encoded.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    if bare != encoded:
        stray = bare[:-1] + alphabet[alphabet.index(bare[-1]) | 1]
        assert stray != bare
        yield "with stray bits", encoded.replace(bare, stray)
        yield "without padding", bare
    yield "with more padding", f"{encoded}="
    yield "with padding twice over", f"{encoded}===="
    yield "with four more characters", f"{encoded[:-4]}====" if encoded.endswith("=") else f"{encoded}===="
    yield "with a URL-safe letter", "-" + encoded[1:]
    yield "with another URL-safe letter", "_" + encoded[1:]
    yield "with a letter of another script", "А" + encoded[1:]
    yield "with a dot", "." + encoded[1:]
