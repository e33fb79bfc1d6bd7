"""Rules as text, such as "width * depth <= 512": read, checked and evaluated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any

_FUNCTIONS = {"abs": abs, "index": operator.indexOf, "max": max, "min": min}

_ALLOWED: tuple[type[ast.AST], ...] = (
    ast.Expression,
    ast.BoolOp,
    ast.UnaryOp,
    ast.BinOp,
    ast.Compare,
    ast.IfExp,
    ast.Name,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Subscript,
    ast.Slice,
    ast.Call,
    ast.expr_context,
    ast.boolop,
    ast.unaryop,
    ast.operator,
    ast.cmpop,
)
"""What a rule may be made of: nothing that could do anything but answer."""


class Expression:
    """A rule in Python's words: names, numbers, strings, arithmetic and comparisons.

    Names with dots are names of the space. Of functions there are abs, max, min and
    index: ``index(order, 'flip')`` is the place of 'flip' in a permutation, from 0, as
    ``order[0]`` is what comes first.

    Attributes:
        text: The rule as it was written.
        names: The names of the space that it asks for.

    Example:
        >>> rule = Expression("width * depth <= 512 or optimizer in ('sgd', 'lion')")
        >>> sorted(rule.names)
        ['depth', 'optimizer', 'width']
        >>> rule.value({"width": 256, "depth": 4, "optimizer": "adam"})
        False
    """

    __slots__ = ("_code", "names", "text")

    def __init__(self, text: str) -> None:
        """Reads ``text``.

        Raises:
            ValueError: If it is no rule; the message says why.
        """
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise ValueError(f"cannot be read as Python: {error.msg}") from error
        tree = _Dots().visit(tree)
        called = {
            id(node.func)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _is_call(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not _is_call(node):
                raise ValueError(
                    f"calls {ast.unparse(node)!r}, and of functions only "
                    f"{', '.join(_FUNCTIONS)} are known"
                )
            if not isinstance(node, _ALLOWED):
                raise ValueError(f"holds {ast.unparse(node)!r}, which no rule may")
        self.text = text
        self.names = frozenset(
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and id(node) not in called
        )
        self._code = compile(tree, "<constraint>", "eval")

    def value(self, configuration: Mapping[str, Any]) -> Any:
        """What it says of a configuration: values by name."""
        return eval(self._code, {"__builtins__": {}, **_FUNCTIONS}, configuration)

    def __reduce__(self) -> tuple[Any, ...]:
        return Expression, (self.text,)


def _is_call(node: ast.Call) -> bool:
    """Whether a call is one of the few that are known."""
    name = node.func.id if isinstance(node.func, ast.Name) else None
    return name in _FUNCTIONS and not node.keywords


class _Dots(ast.NodeTransformer):
    """Makes one name of ``optimizer.learning_rate``."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        whole = self.visit(node.value)
        if not isinstance(whole, ast.Name):
            return node
        return ast.copy_location(ast.Name(f"{whole.id}.{node.attr}", node.ctx), node)
