"""Whether a filter asks for what there is, at the place where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal as OneOf
from typing import TypeAlias

from filters.errors import FilterError
from filters.fields import FIELDS, NEVER_CARRIED, FieldSpec, nearest, resolve
from filters.nodes import Call, Expr, Field, field_nodes, leaves, operands, parts
from filters.values import FUNCTIONS

Place: TypeAlias = OneOf["record", "where"]


def check(expr: Expr, where: Place = "record") -> None:
    """FilterError for a field or function that does not exist or cannot be used there.

    "record" is `record --filter`, which sees one event as it comes; "where" is `--where`, which
    asks the store.
    """
    for call in _calls(expr):
        _check_call(expr, call)
    for field in field_nodes(expr.root):
        spec = resolve(field.name)
        if spec is None:
            raise _unknown(expr, field)
        if where not in spec.uses:
            raise _not_live(expr, field, spec)


def _calls(expr: Expr) -> Iterator[Call]:
    for leaf in leaves(expr.root):
        for operand in operands(leaf):
            yield from (part for part in parts(operand) if isinstance(part, Call))


def _check_call(expr: Expr, call: Call) -> None:
    function = FUNCTIONS.get(call.name)
    if function is None:
        close = nearest(call.name, FUNCTIONS)
        reason = f"there is no function {call.name}"
        hint = (
            f"did you mean {FUNCTIONS[close].example}?"
            if close
            else "there are " + ", ".join(FUNCTIONS)
        )
        raise FilterError(expr.text, reason, call.start, call.start + len(call.name), hint)
    if function.arity != len(call.args):
        reason = f"{call.name} takes {function.arity} argument(s), not {len(call.args)}"
        raise FilterError(expr.text, reason, call.start, call.end, function.example)


def _unknown(expr: Expr, field: Field) -> FilterError:
    name = field.name
    close = nearest(name, FIELDS)
    never = next((why for prefix, why in NEVER_CARRIED.items() if _under(name, prefix)), "")
    reason = f"there is no field {name}"
    if never:
        reason, hint = f"{name} is never there: {never}", ""
    elif _is_value(expr, field) and not (close and close[:4] == name[:4]):
        hint = f'write "{name}" if it is text'
    elif close:
        hint = f"did you mean {close}?"
    else:
        hint = "such as req.method, req.host, res.status, container.name, process.binary"
    return FilterError(expr.text, reason, field.start, field.end, hint)


def _under(name: str, prefix: str) -> bool:
    return name == prefix or (prefix.endswith(".") and name.startswith(prefix))


def _is_value(expr: Expr, field: Field) -> bool:
    """Whether the field stands where people write a value: right of an operator, in a list."""
    for leaf in leaves(expr.root):
        right = operands(leaf)[1:]
        if any(part is field for operand in right for part in parts(operand)):
            return True
    return False


def _not_live(expr: Expr, field: Field, spec: FieldSpec) -> FilterError:
    if spec.known_to_qtap:
        why = "Qtap cannot filter on it"
    elif field.name in ("route", "error_signature", "outcome"):
        why = "qrec works it out when it stores a transaction"
    else:
        why = "Qtap has no such filter field"
    reason = f"{field.name} cannot decide what is recorded: {why}"
    hint = "record without this part and ask for it afterwards with --where"
    return FilterError(expr.text, reason, field.start, field.end, hint)
