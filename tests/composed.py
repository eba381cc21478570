"""YAML that was parsed once is not parsed again: every gateway that a test founds reads the same shipped lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_compose = yaml.compose
_quick: list[bool] = []
_SHIPPED = Path(__file__).parents[1] / "gateway"


@lru_cache(maxsize=64)
def _remembered(text: str, loader: Any) -> Any:
    return _compose(text, Loader=loader)


def _compose_or_remember(text: str, Loader: Any) -> Any:  # noqa: N803 - so it is called
    if _quick:
        return _compose(text, Loader=getattr(yaml, "CSafeLoader", Loader))
    return _remembered(text, Loader)


def remember() -> None:
    """Let `yaml.compose` remember its trees, which nobody changes, for the rest of this process."""
    yaml.compose = _compose_or_remember


@contextmanager
def quickly() -> Iterator[None]:
    """Parse with libyaml meanwhile: for text that a test makes by the hundred, and that is YAML beyond doubt."""
    _quick.append(True)
    try:
        yield
    finally:
        _quick.pop()


def read_shipped() -> None:
    """Remember the trees of all YAML that is shipped."""
    for path in _SHIPPED.rglob("*.yaml"):
        yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
