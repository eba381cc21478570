"""The file of a trust policy (https://c2sp.org/tlog-policy), read strictly and with every mistake at once.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

Octets beyond ASCII are opaque: names that differ in any octet are different names. No message quotes a word of the
file: whoever gives a private key by mistake must not find it on the screen and in the logs.
"""

from __future__ import annotations

from pathlib import Path

from ledger.errors import NoteError, PolicyError
from ledger.log.algorithms.cosignature import Ed25519CosignatureVerifier
from ledger.log.algorithms.mldsa44 import MlDsa44Verifier
from ledger.log.vkey import PublicKey, parse_vkey
from ledger.witness.policy import NONE, Policy, PolicyGroup, PolicyLog, PolicyWitness

_LONGEST = 1 << 20


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: it cannot be read, or is wrong; names every mistake with its line.
        AlgorithmUnavailable: a key is of an algorithm whose library is not installed.
    """
    try:
        text = path.read_bytes()
    except OSError as failure:
        raise PolicyError([f"{path} cannot be read ({failure.strerror})"]) from None
    return parse_policy(text)


def parse_policy(text: bytes) -> Policy:
    """Read the text of a policy.

    Raises:
        PolicyError: names every mistake with its line.
        AlgorithmUnavailable: a key is of an algorithm whose library is not installed.
    """
    if len(text) > _LONGEST:
        raise PolicyError(["the policy is too long"])
    reading = _Reading()
    *lines, rest = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        reading.line(number, line)
    if rest:
        # A file cut short may still read well, and ask for less than its author wrote.
        reading.mistake(len(lines) + 1, "the last line does not end in a newline")
    return reading.finish()


class _Reading:
    """One pass over the lines; what is wrong is noted and reading goes on."""

    def __init__(self) -> None:
        self._number = 0
        self._mistakes: list[str] = []
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._quorums: list[str] = []
        self._names: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._keys: dict[tuple[str, bytes], int] = {}

    def mistake(self, number: int, what: str) -> None:
        """Note a mistake of a line."""
        self._mistakes.append(f"line {number}: {what}")

    def _wrong(self, what: str) -> None:
        self.mistake(self._number, what)

    def line(self, number: int, line: bytes) -> None:
        """Read one line, given without its newline."""
        self._number = number
        if any(octet < 0x20 and octet != 0x09 for octet in line) or b"\x7f" in line:
            self._wrong("holds a control character")
            return
        # Octets that are not UTF-8 stay apart from each other, as surrogates.
        words = line.decode("utf-8", "surrogateescape").replace("\t", " ").split(" ")
        keyword, *rest = [word for word in words if word] or [""]
        readers = {"log": self._log, "witness": self._witness, "group": self._group, "quorum": self._quorum}
        if keyword in readers:
            readers[keyword](rest)
        elif keyword and not keyword.startswith("#"):
            self._wrong("does not begin with log, witness, group or quorum")

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            self._wrong("a log line is: log <vkey> [<url>]")
            return
        key = self._key("log", words[0])
        if key is None:
            return
        if isinstance(key, Ed25519CosignatureVerifier):
            self._wrong("a log's key cannot be of the type of witnesses (0x04)")
        self._logs.append(PolicyLog(key=key, url=words[1] if words[1:] else None))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            self._wrong("a witness line is: witness <name> <vkey> [<url>]")
            return
        name, vkey, *url = words
        self._define(name)
        key = self._key("witness", vkey)
        if key is None:
            return
        if not isinstance(key, Ed25519CosignatureVerifier | MlDsa44Verifier):
            self._wrong("a witness's key is of type 0x04 (Ed25519) or 0x06 (ML-DSA-44)")
        self._witnesses.append(PolicyWitness(name=name, key=key, url=url[0] if url else None))

    def _key(self, what: str, word: str) -> PublicKey | None:
        try:
            key = parse_vkey(word)
        except NoteError as failure:
            self._wrong(str(failure))
            return None
        first = self._keys.setdefault((what, key.public), self._number)
        if first != self._number:
            self._wrong(f"the same key stands in line {first}")
        return key

    def _define(self, name: str) -> None:
        if name == NONE:
            self._wrong("the name 'none' is taken")
            return
        first = self._names.setdefault(name, self._number)
        if first != self._number:
            self._wrong(f"the name stands in line {first} already")

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            self._wrong("a group line is: group <name> all|any|<k> <name>...")
            return
        name, threshold, *members = words
        for place, member in enumerate(members, 1):
            self._member(place, member)
        self._define(name)
        needed = {"all": len(members), "any": 1}.get(threshold) or _decimal(threshold)
        if not 1 <= needed <= len(members):
            self._wrong(f"the threshold must be all, any or a number from 1 to {len(members)}")
        self._groups.append(PolicyGroup(name=name, threshold=needed, members=tuple(members)))

    def _member(self, place: int, name: str) -> None:
        if name not in self._names:
            self._wrong(f"member {place} is not defined before")
        elif name in self._members:
            self._wrong(f"member {place} is a member already, of the group in line {self._members[name]}")
        else:
            self._members[name] = self._number

    def _quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            self._wrong("a quorum line is: quorum <name>, or quorum none")
            return
        if words[0] != NONE and words[0] not in self._names:
            self._wrong("the quorum is not defined before")
        if self._quorums:
            self._wrong("there is a quorum line already")
        self._quorums.append(words[0])

    def finish(self) -> Policy:
        """Put the policy together, or tell all mistakes."""
        if not self._quorums and not any("quorum line is" in mistake for mistake in self._mistakes):
            self._mistakes.append("there is no quorum line")
        if self._mistakes:
            raise PolicyError(self._mistakes)
        return Policy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=self._quorums[0],
        )


def _decimal(word: str) -> int:
    """Read a number in its one spelling; anything else is 0, which no threshold may be."""
    return int(word) if word.isascii() and word.isdigit() and word[0] != "0" and len(word) < 6 else 0
