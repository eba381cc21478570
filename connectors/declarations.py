"""What a stanza says of its facts alike in every kind: coverage, sensitivity, and whether asking is charged."""

from __future__ import annotations

from connectors.connector import Coverage
from connectors.coverage import read_coverage
from connectors.stanza import Stanza


class Declarations:
    """Collects them by fact type, for the manifest."""

    def __init__(self) -> None:
        self.coverage: dict[str, Coverage] = {}
        self._sensitive: set[str] = set()
        self._asked_once: set[str] = set()

    def read(self, fact_type: str, part: Stanza) -> None:
        """Read `coverage`, `sensitive` and `asked_once` of one fact."""
        coverage = read_coverage(part)
        if coverage is not None:
            self.coverage[fact_type] = coverage
        if part.flag("sensitive", False):
            self._sensitive.add(fact_type)
        if part.flag("asked_once", False):
            self._asked_once.add(fact_type)

    @property
    def sensitive(self) -> frozenset[str]:
        """The fact types that are sensitive personal information."""
        return frozenset(self._sensitive)

    @property
    def asked_once(self) -> frozenset[str]:
        """Those that may not be asked again for the same answer."""
        return frozenset(self._asked_once)
