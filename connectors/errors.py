"""How asking a source fails. Messages name sources and conditions, never a subject or an answer."""

from __future__ import annotations

from datetime import datetime

from connectors.outcome import Cause, Outcome


class ConnectorError(Exception):
    """Asking a source failed."""


class SourceUnavailable(ConnectorError):
    """No usable answer came; nothing may be concluded from it.

    `told` is all that is known of it, in words of ours. `connecting` says that the question never left: asking again
    costs the source nothing. `why` is said where it goes on until somebody mends the stanza, in words of ours.
    `of_question` says that the source turned this question down as it is, which tells nothing of other questions.
    """

    def __init__(
        self,
        source: str,
        cause: Cause,
        detail: str = "",
        *,
        until: datetime | None = None,
        connecting: bool = False,
        why: str = "",
        of_question: bool = False,
    ) -> None:
        self.told = ", ".join(part for part in (detail, why) if part)
        super().__init__(f"source {source!r} is unavailable ({cause.value}){': ' + self.told if self.told else ''}")
        self.source = source
        self.cause = cause
        self.until = until
        self.connecting = connecting
        self.why = why
        self.of_question = of_question


class SourceRefused(ConnectorError):
    """The source will not answer us; asking again does not help."""

    def __init__(self, source: str, rule: str) -> None:
        super().__init__(f"source {source!r} refuses to answer: {rule}")
        self.source = source
        self.rule = rule


class NotAsked(ConnectorError):
    """The question was never put to the source, for a reason of its own: `outcome`. It says nothing of the source.

    For a call about one claim, or where it is so of all of them.
    """

    def __init__(self, source: str, outcome: Outcome, detail: str) -> None:
        super().__init__(f"source {source!r} was not asked ({outcome.kind.value}): {detail}")
        self.source = source
        self.outcome = outcome


class StanzaError(ConnectorError):
    """A source's configuration stanza is wrong; `mistakes` lists every one."""

    def __init__(self, source: str, mistakes: list[str]) -> None:
        super().__init__(f"source {source!r}: " + "; ".join(mistakes))
        self.source = source
        self.mistakes = mistakes


class DropRefused(Exception):
    """A drop does not agree with itself; the text names the condition, never a value."""
