"""Whoever writes a word that is not known is told which may have been meant, or which there are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.catalog import connect, find_kind
from connectors.errors import StanzaError
from connectors.stanza import Stanza, meant


def test_a_close_word_alone_is_named_and_otherwise_all() -> None:
    assert meant("sqll", ["sql", "http"]) == "; did you mean 'sql'?"
    assert meant("zzz", ["sql", "http"]) == "; there are: http, sql"
    assert meant("zzz", ["sql", "http"], otherwise=False) == ""
    assert meant("zzz", []) == ""


def test_a_mistyped_key_is_told_with_the_key_that_was_looked_for() -> None:
    stanza = Stanza("x", {"colums": {}, "bogus": 1, "path": "/a", "pathes": 1})
    stanza.mapping("columns")
    stanza.text("path")
    with pytest.raises(StanzaError) as caught:
        stanza.finish()
    assert caught.value.mistakes == [
        "colums: is not known; did you mean 'columns'?",
        "bogus: is not known",
        "pathes: is not known",  # what it is like is there, and was read
    ]


def test_a_kind_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(LookupError, match=r"no such kind; there are: dropbox, grpc, http, sql"):
        find_kind("zzz")
    with pytest.raises(StanzaError) as caught:
        connect("civil", {"kind": "htpp"}, now=lambda: datetime.now(UTC))
    assert caught.value.mistakes == ["kind: there is no such kind; did you mean 'http'?"]
