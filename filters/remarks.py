"""What is worth saying about a filter that is right as far as it goes."""

from __future__ import annotations

from filters.fields import FieldSpec, resolve
from filters.nodes import Compare, Expr, Field, In, Leaf, Literal, leaves, operands, parts, render
from filters.sql import Scope, evaluate

_KINDS = {"text": "text", "int": "a number", "texts": "a list of texts"}
_LITERALS = {"string": "text", "int": "a number", "float": "a number", "ip": "an address"}


def remarks(expr: Expr) -> list[str]:
    """Sentences for a person: how AND and OR were read, and what can never hold.

    Call it after `check`; fields that do not exist are not its business.
    """
    found = [f"AND and OR mixed: read as {expr.pretty()}"] if expr.mixes else []
    return found + [text for leaf in leaves(expr.root) if (text := _remark(expr, leaf))]


def _remark(expr: Expr, leaf: Leaf) -> str:
    field = next((one for one in operands(leaf) if isinstance(one, Field)), None)
    spec = resolve(field.name) if field else None
    if field is None or spec is None or not _all_known(leaf):
        return ""
    answer, _ = evaluate(Scope(expr, None, "p"), leaf)
    if answer is False:
        return f"{render(leaf)} never holds: {_why(leaf, field, spec)}"
    return _about_text(leaf, field) if spec.kind == "text" else ""


def _all_known(leaf: Leaf) -> bool:
    found = (part for operand in operands(leaf) for part in parts(operand))
    return all(resolve(part.name) for part in found if isinstance(part, Field))


def _why(leaf: Leaf, field: Field, spec: FieldSpec) -> str:
    kind = _KINDS[spec.kind]
    right = (
        leaf.right if isinstance(leaf, Compare) else leaf.array if isinstance(leaf, In) else None
    )
    if isinstance(right, Literal):
        what = _LITERALS.get(right.kind, right.kind)
        return f"{field.name} is {kind}, {right.raw} is {what}"
    if isinstance(leaf, In) and _literals(leaf, "ip"):
        return "inside in […] an address equals no text; write == […] instead"
    return f"{field.name} is {kind}"


def _about_text(leaf: Leaf, field: Field) -> str:
    if isinstance(leaf, Compare) and leaf.op in ("==", "!=") and (nets := _literals(leaf, "cidr")):
        return f"{nets[0].raw} is compared as text, not as a network: write matches /^10\\./"
    if isinstance(leaf, In) and (addresses := _literals(leaf, "ip")):
        return f"{addresses[0].raw} equals no text inside in […]: write == […] instead"
    upper = [one.value for one in _literals(leaf, "string") if one.value != str(one.value).lower()]
    if field.name == "req.host" and upper:
        return f"hosts are kept in lower case: write {str(upper[0]).lower()!r}, not {upper[0]!r}"
    return ""


def _literals(leaf: Leaf, kind: str) -> list[Literal]:
    """The literals of that kind on the right of a comparison, also inside a list."""
    found = (part for operand in operands(leaf)[1:] for part in parts(operand))
    return [part for part in found if isinstance(part, Literal) and part.kind == kind]
