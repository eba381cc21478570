"""Values about persons, whose text form cannot carry what they hold into a log line or a traceback."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class Veiled(Struct, frozen=True, kw_only=True):
    """A struct whose text form, also in rich, tells its `shown` fields and no others.

    Values that are made for each question are structs: a frozen dataclass costs ten times as much to make.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        told = [f"{name}={value!r}" for name, value in self.__rich_repr__()]
        return f"{type(self).__name__}({', '.join([*told, '...'])})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.shown]
