"""Tell a key that an answer lacks from one whose value is empty: pure. JMESPath finds null in both.

A service that renames a key gives an answer outside the agreed format; one that sends null or "" holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter


class _Absent(Exception):
    """What an expression names is not there."""


class _Strict(TreeInterpreter):
    """Follows an expression to its value, and stops where a key that it names is absent, or where the answer is built
    otherwise than it says. Beneath null, and beyond the end of a list, everything is empty."""

    def visit_field(self, node: Any, value: Any) -> Any:
        if value is not None and not (isinstance(value, dict) and node["value"] in value):
            raise _Absent
        return super().visit_field(node, value)

    def visit_index(self, node: Any, value: Any) -> Any:
        return super().visit_index(node, _of(list, value))

    def visit_slice(self, node: Any, value: Any) -> Any:
        return super().visit_slice(node, _of(list, value))

    def visit_projection(self, node: Any, value: Any) -> Any:
        _of(list, self.visit(node["children"][0], value))
        return super().visit_projection(node, value)

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        _of(list, self.visit(node["children"][0], value))
        return super().visit_filter_projection(node, value)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        _of(list, self.visit(node["children"][0], value))
        return super().visit_flatten(node, value)

    def visit_value_projection(self, node: Any, value: Any) -> Any:
        _of(dict, self.visit(node["children"][0], value))
        return super().visit_value_projection(node, value)

    def visit_or_expression(self, node: Any, value: Any) -> Any:
        """One side of `a || b` is enough: that is what it says."""
        there = self._those_there(node, value)
        return next((one for one in there if one is not False and one not in (None, "", [], {})), there[-1])

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        if node["value"] != "not_null":
            return super().visit_function_expression(node, value)
        return next((one for one in self._those_there(node, value) if one is not None), None)

    def _those_there(self, node: Any, value: Any) -> list[Any]:
        found = []
        for child in node["children"]:
            try:
                found.append(self.visit(child, value))
            except _Absent:
                continue
        if not found:
            raise _Absent
        return found


def _of(kind: type, value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise _Absent
    return value


def presence(written: str) -> Callable[[object], bool]:
    """Make a test of records: whether each key is there that a JMESPath expression names, whatever it holds.

    Raises:
        JMESPathError: it is no expression.
    """
    tree = jmespath.compile(written).parsed

    def is_there(record: object) -> bool:
        try:
            _Strict().visit(tree, record)
        except _Absent:
            return False
        except (JMESPathError, TypeError, ValueError, AttributeError):
            return True  # there, and of another type: whoever reads it says so
        return True

    return is_there
