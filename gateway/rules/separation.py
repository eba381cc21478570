"""Separation of duties: who recorded may not audit, who proposed may not decide."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.spelling import one_spelling


class SecondOfficerRequired(ValueError):
    """The act needs a person who has not acted in the matter before; `act` names what was refused."""

    def __init__(self, act: str) -> None:
        super().__init__(f"{act} needs an officer who took no part before")
        self.act = act
        self.chinese = "该环节须由未参与前序环节的另一名工作人员办理。"


def verify_second_officer(act: str, officer: str, earlier: Iterable[str]) -> None:
    """Refuse an officer who acted before in the same matter.

    Officers are compared by `ledger.spelling`, so that one person with two spellings of an account does not count as
    two.

    Raises:
        SecondOfficerRequired: the officer is unnamed or among the earlier ones.
    """
    name = one_spelling(officer)
    if not name or name in map(one_spelling, earlier):
        raise SecondOfficerRequired(act)
