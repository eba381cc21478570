"""Read one source's configuration stanza strictly: typed keys, no unknown keys, every mistake told at once.

Secrets are never values of a stanza: a key that ends in `_file` names the file that holds one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path

from connectors.errors import StanzaError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")


def duration(text: str) -> timedelta:
    """Read a duration such as `800ms`, `5s`, `10m`, `2h` or `3d`.

    Raises:
        ValueError: it is not of that form.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a duration is a whole number and ms, s, m, h or d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def meant(word: str, known: Iterable[str], *, otherwise: bool = True) -> str:
    """Say, to go after a mistake, what may have been meant by an unknown word; `otherwise` all that are known."""
    words = sorted(known)
    longer = [one for one in words if word and one.startswith(word)]
    if close := longer or get_close_matches(word, words, n=1, cutoff=0.7):
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(words)}" if otherwise and words else ""


class Stanza:
    """A table of a configuration, read key by key; what is wrong is noted and reading goes on.

    Getters return a harmless placeholder after noting a mistake; nothing may be built from a stanza before `finish`
    was called on its root. Sub-tables share the list of mistakes.
    """

    def __init__(
        self, source: str, table: Mapping[str, object], *, where: str = "", mistakes: list[str] | None = None
    ) -> None:
        self.source = source
        self.mistakes: list[str] = [] if mistakes is None else mistakes
        self._table = table
        self._where = where
        self._read: set[str] = set()
        self._parts: list[Stanza] = []

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def keys(self) -> list[str]:
        """Name the keys present, in order."""
        return list(self._table)

    def mistake(self, key: str, what: str) -> None:
        """Note that the value of `key` is wrong."""
        self.mistakes.append(f"{self._where}{key}: {what}")

    def _take(self, key: str, *, required: bool) -> object:
        self._read.add(key)
        value = self._table.get(key)
        if value is None and required:
            self.mistake(key, "is missing")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Read a non-empty text; without a default it is required."""
        value = self._take(key, required=default is None)
        if value is None:
            return default or ""
        if not isinstance(value, str) or not value:
            self.mistake(key, "must be a non-empty text")
            return default or ""
        return value

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """Read one of the `options`."""
        value = self.text(key, default)
        if value not in options:
            self.mistake(key, f"must be one of {', '.join(options)}")
            return default
        return value

    def number(self, key: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
        """Read a whole number within bounds, both included."""
        value = self._take(key, required=False)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.mistake(key, f"must be a whole number from {least} to {most}")
            return default
        return value

    def share(self, key: str, default: float) -> float:
        """Read a share from 0 to 1."""
        value = self._take(key, required=False)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            self.mistake(key, "must be a number from 0 to 1")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self._take(key, required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.mistake(key, "must be true or false")
            return default
        return value

    def duration(self, key: str, default: str) -> timedelta:
        """Read a positive duration such as `800ms`, `5s` or `3d`."""
        return self.optional_duration(key) or duration(default)

    def optional_duration(self, key: str) -> timedelta | None:
        """Read a positive duration, or nothing when the key is absent."""
        value = self._take(key, required=False)
        if value is None:
            return None
        try:
            read = duration(value) if isinstance(value, str) else None
        except ValueError:
            read = None
        if not read:
            self.mistake(key, 'must be a duration such as "800ms", "5s" or "3d"')
        return read

    def day(self, key: str) -> date | None:
        """Read a day (a TOML date or an ISO 8601 text), or nothing when absent."""
        value = self._take(key, required=False)
        if value is None or type(value) is date:
            return value
        try:
            if isinstance(value, str):
                return date.fromisoformat(value)
        except ValueError:
            pass
        self.mistake(key, "must be a date")
        return None

    def texts(self, key: str, default: tuple[str, ...] | None = (), *, may_be_empty: bool = False) -> tuple[str, ...]:
        """Read a list of texts, non-empty unless they `may_be_empty`; with the default None it is required."""
        value = self._take(key, required=default is None)
        if value is None:
            return default or ()
        if not isinstance(value, list | tuple) or not all(
            isinstance(one, str) and (one or may_be_empty) for one in value
        ):
            self.mistake(key, f"must be a list of {'' if may_be_empty else 'non-empty '}texts")
            return ()
        return tuple(value)

    def anything(self, key: str) -> object:
        """Read a value of any shape, or None when absent; the caller judges it."""
        return self._take(key, required=False)

    def mapping(self, key: str, *, required: bool = False) -> dict[str, str]:
        """Read a table of non-empty texts."""
        value = self._take(key, required=required)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(one, str) and one for one in value.values()):
            self.mistake(key, "must be a table of non-empty texts")
            return {}
        return {str(name): str(one) for name, one in value.items()}

    def table(self, key: str) -> Stanza:
        """Read a sub-table; an absent one reads as empty."""
        value = self._take(key, required=False)
        if value is not None and not isinstance(value, Mapping):
            self.mistake(key, "must be a table")
            value = None
        return self._part(f"{key}.", value or {})

    def tables(self, key: str) -> dict[str, Stanza]:
        """Read a table of tables, by name; at least one is required."""
        value = self._take(key, required=True)
        if not isinstance(value, Mapping) or not value or not all(isinstance(one, Mapping) for one in value.values()):
            if value is not None:
                self.mistake(key, "must be a table of at least one table")
            return {}
        return {str(name): self._part(f"{key}.{name}.", one) for name, one in value.items()}

    def listed(self, key: str) -> list[Stanza]:
        """Read a list of tables (one table alone reads as a list of one)."""
        value = self._take(key, required=False)
        if value is None:
            return []
        found = [value] if isinstance(value, Mapping) else value
        if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
            self.mistake(key, "must be a list of tables")
            return []
        return [self._part(f"{key}[{index}].", one) for index, one in enumerate(found)]

    def _part(self, where: str, table: Mapping[str, object]) -> Stanza:
        part = Stanza(self.source, table, where=self._where + where, mistakes=self.mistakes)
        self._parts.append(part)
        return part

    def secret(self, key: str) -> str:
        """Read the text in the file that `key` names (surrounding blanks removed); empty when the key is absent."""
        name = self.text(key, "") if key in self._table else ""
        self._read.add(key)
        if not name:
            return ""
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.mistake(key, f"cannot be read ({type(error).__name__})")
            return ""

    def finish(self) -> None:
        """Refuse unknown keys here and in every sub-table, then tell all mistakes.

        Raises:
            StanzaError: something was wrong; `mistakes` lists everything.
        """
        self._refuse_unknown()
        if self.mistakes:
            raise StanzaError(self.source, self.mistakes)

    def _refuse_unknown(self) -> None:
        for key in self._table:
            if key not in self._read:
                self.mistake(key, f"is not known{meant(key, self._read - self._table.keys(), otherwise=False)}")
        for part in self._parts:
            part._refuse_unknown()
