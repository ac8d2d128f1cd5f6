"""Whether a filter asks for what there is, at the place where it is used."""

from __future__ import annotations

from typing import Final, TypeAlias
from typing import Literal as OneOf

from filters.fields import FIELDS, NEVER_CARRIED, nearest, resolve
from filters.nodes import (
    Call,
    Compare,
    Expr,
    Field,
    FilterError,
    Leaf,
    field_nodes,
    leaves,
    missing_of,
    operands,
    parts,
    render,
)
from filters.values import FUNCTIONS

Place: TypeAlias = OneOf["record", "where"]


def check(expr: Expr, where: Place = "record") -> None:
    """FilterError for a field or function that does not exist or cannot be used there.

    "record" is `record --filter`, which sees one event as it comes; "where" is `--where`, which
    asks the store.
    """
    for leaf in leaves(expr.root):
        _check_calls(expr, leaf)
    for field in field_nodes(expr.root):
        spec = resolve(field.name)
        if spec is None:
            raise _unknown(expr, field)
        if where not in spec.uses:
            raise _not_live(expr, field)


def _check_calls(expr: Expr, leaf: Leaf) -> None:
    for call in (part for operand in operands(leaf) for part in parts(operand)):
        if not isinstance(call, Call) or missing_of(leaf):
            continue
        function = FUNCTIONS.get(call.name)
        if call.name == "missing":
            reason, hint = "missing() takes one field, and stands alone", "missing(container.name)"
        elif function is None:
            reason, hint = f"there is no function {call.name}", _function_meant(call)
        elif function.arity != len(call.args):
            reason = f"{call.name} takes {function.arity} argument(s), not {len(call.args)}"
            hint = function.example
        else:
            continue
        raise FilterError(expr.text, reason, call.start, call.start + len(call.name), hint)


# functions of other languages, and how to say it here; {} is the first argument
_FOREIGN: Final = {
    "endswith": "write {} matches /…$/",
    "contains": 'write {} contains "…"',
    "matches": "write {} matches /…/",
    "regexmatch": "write {} matches /…/",
    "lower": "write {} matches /(?i)…/ for any case; hosts are in lower case",
    "upper": "write {} matches /(?i)…/ for any case",
    "exists": "write not missing({})",
    "has": "write not missing({})",
    "isnull": "write missing({})",
    "isempty": 'write missing({0}), or {0} == ""',
    "empty": 'write missing({0}), or {0} == ""',
}


def _function_meant(call: Call) -> str:
    argument = render(call.args[0]) if call.args else "FIELD"
    if foreign := _FOREIGN.get(call.name.lower().replace("_", "")):
        return foreign.format(argument)
    close = nearest(call.name, [*FUNCTIONS, "missing"])
    if close == "missing":
        return f"did you mean missing({argument})?"
    if close:
        return f"did you mean {FUNCTIONS[close].example}?"
    return "there are " + ", ".join([*FUNCTIONS, "missing"])


def _unknown(expr: Expr, field: Field) -> FilterError:
    name = field.name
    close = nearest(name, FIELDS)
    never = next((why for prefix, why in NEVER_CARRIED.items() if _under(name, prefix)), "")
    reason = f"there is no field {name}"
    if never:
        reason, hint = f"{name} is never there: {never}", ""
    elif name.lower() in ("null", "nil", "none", "undefined"):
        left = next((leaf.left for leaf in leaves(expr.root) if isinstance(leaf, Compare)
                     and leaf.right is field), None)  # fmt: skip
        hint = f"write missing({render(left)})" if left else "write missing(FIELD)"
    elif name.lower() in ("failed", "failure", "is_error"):
        hint = 'outcome != "ok" takes all that failed, with --where'
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


def _not_live(expr: Expr, field: Field) -> FilterError:
    hint = "record without this part and ask for it afterwards with --where"
    if field.name == "outcome":
        hint = "res.status >= 400 goes by the status alone; outcome works afterwards with --where"
    if field.name in ("req.path", "req.url"):
        why = "Qtap cannot filter on it"
    elif field.name in ("route", "error_signature", "outcome"):
        why = "qrec works it out when it stores a transaction"
    elif field.name in ("recorder", "group", "session"):
        why = "it is the same of all that one recorder records"
        hint = "name it with --recorder or --group, and ask for it afterwards with --where"
    else:
        why = "Qtap has no such filter field"
    reason = f"{field.name} cannot decide what is recorded: {why}"
    return FilterError(expr.text, reason, field.start, field.end, hint)
