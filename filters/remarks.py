"""What is worth saying about a filter that is right as far as it goes."""

from __future__ import annotations

from filters.fields import resolve
from filters.nodes import Array, Compare, Expr, Field, Leaf, Literal, leaves, operands, render
from filters.sql import evaluate
from filters.sql_values import Scope

_KINDS = {"text": "text", "int": "a number", "texts": "a list of texts"}


def remarks(expr: Expr) -> list[str]:
    """Sentences for a person: how AND and OR were read, and what can never hold.

    Call it after `check`; fields that do not exist are not its business.
    """
    found = [f"AND and OR mixed: read as {expr.pretty()}"] if expr.mixes else []
    return found + [text for leaf in leaves(expr.root) if (text := _remark(expr, leaf))]


def _remark(expr: Expr, leaf: Leaf) -> str:
    names = [one for one in operands(leaf) if isinstance(one, Field)]
    if not names or not all(resolve(field.name) for field in names):
        return ""
    answer, _ = evaluate(Scope(expr, None, "p"), leaf)
    if answer is False:
        return f"{render(leaf)} never holds: {_why(leaf, names[0])}"
    upper = [one for one in _texts(leaf) if one != one.lower()]
    if names[0].name == "req.host" and upper:
        return f"hosts are kept in lower case: write {upper[0].lower()!r}, not {upper[0]!r}"
    return ""


def _why(leaf: Leaf, field: Field) -> str:
    spec = resolve(field.name)
    kind = _KINDS[spec.kind] if spec else ""
    if isinstance(leaf, Compare) and isinstance(leaf.right, Literal):
        what = {"string": "text", "int": "a number", "float": "a number"}.get(leaf.right.kind)
        return f"{field.name} is {kind}, {leaf.right.raw} is {what or leaf.right.kind}"
    return f"{field.name} is {kind}"


def _texts(leaf: Leaf) -> list[str]:
    values: list[str] = []
    for operand in operands(leaf)[1:]:
        items = operand.items if isinstance(operand, Array) else (operand,)
        found = [one.value for one in items if isinstance(one, Literal)]
        values += [value for value in found if isinstance(value, str)]
    return values
