"""The file itself: a ZIP of flat names, stored uncompressed, with fixed times, so that equal content is equal bytes."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

MANIFEST = "MANIFEST"
MOST_FILES = 64
MOST_BYTES = 1 << 30
"""Four lists of the longest that may be configured, as PEM, and all else."""
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can say
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_NAME.pattern})")
_PLAIN_FILE = 0o100644 << 16


class NotAPack(ValueError):
    """The file is no ZIP file of the form that `write_archive` writes."""


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Write files and their manifest as one ZIP."""
    return pack_together({**files, MANIFEST: manifest(files)})


def pack_together(files: Mapping[str, bytes]) -> bytes:
    """Write files, the manifest among them, as the one ZIP that holds these."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _TIME)
            member.create_system = 3
            member.external_attr = _PLAIN_FILE
            archive.writestr(member, files[name])
    return target.getvalue()


def manifest(files: Mapping[str, bytes]) -> bytes:
    """Write the SHA-256 of every file, a line each, as `sha256sum` does."""
    return _lines({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def _lines(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def read_archive(content: bytes) -> dict[str, bytes]:
    """Read the files of a pack, the manifest among them; nothing is written anywhere.

    It must be what we write of its files, byte for byte: other programs see other files in a ZIP that says one thing
    in two ways (a second name of a file, bytes before, between or behind the files, a link).

    Raises:
        NotAPack: it is no ZIP file, has odd names, names twice, compressed or too many files, is too large, or is not
            as we write it.
    """
    if len(content) > MOST_BYTES:
        raise NotAPack("the file is too large")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _require_plain(members)
            files = {member.filename: archive.read(member) for member in members}
    except NotAPack:
        raise
    except Exception as error:  # the reader raises whatever it likes on hostile bytes: none of them is a pack
        raise NotAPack(f"not an evidence pack ({type(error).__name__})") from error
    if pack_together(files) != content:
        raise NotAPack("not as packs are written: it was packed again, or holds something that others would unpack")
    return files


def _require_plain(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(members) > MOST_FILES or len({name.lower() for name in names}) != len(names):
        raise NotAPack("too many files, or a name twice")  # for many file systems capitals are no difference
    if not all(_NAME.fullmatch(name) for name in names):
        raise NotAPack("a name that no pack has")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise NotAPack("a compressed file: take the pack as it was handed out, not packed again")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise NotAPack("the files are too large")


def manifest_mistakes(files: Mapping[str, bytes]) -> list[str]:
    """Name every file that is not as the manifest says: altered, missing, or not in it."""
    lines = [_LINE.fullmatch(line) for line in files.get(MANIFEST, b"").decode("ascii", "replace").split("\n")[:-1]]
    if not lines or not all(lines):
        return ["there is no MANIFEST, or a line of it is malformed"]
    told = {line[2]: line[1] for line in lines if line}
    there = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != MANIFEST}
    mistakes = [f"{name} is missing" for name in sorted(told.keys() - there.keys())]
    mistakes += [f"{name} is not in the MANIFEST" for name in sorted(there.keys() - told.keys())]
    mistakes += [f"{name} was altered" for name in sorted(told.keys() & there.keys()) if told[name] != there[name]]
    return mistakes or ([] if files[MANIFEST] == _lines(there) else ["the MANIFEST is not as packs have it"])
