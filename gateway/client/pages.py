"""Going through a list page by page, to its end; pure."""

from __future__ import annotations


class ListIncomplete(Exception):
    """A list has no end: a page leads back to an earlier one. What was yielded of it may not be all."""


class Pages:
    """Where one list is: `token` is of the page to ask for, None after the last."""

    def __init__(self) -> None:
        self.token: str | None = ""
        self._asked: set[str] = set()

    def turn(self, following: str) -> None:
        """Go to the page that follows, as the last one says; an empty token says that none does.

        Raises:
            ListIncomplete: that page was asked for before.
        """
        if following in self._asked:
            raise ListIncomplete("the gateway gave the same page token twice")
        self._asked.add(following)
        self.token = following or None
