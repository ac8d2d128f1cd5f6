"""The part of a filter that Qtap can apply: the strongest condition that the filter implies.

Qtap delivers an event only when its own reading of the condition passes. So the condition is
free of negation (Qtap's `not` does not negate), says by parentheses what binds, names only
fields that Qtap has, and holds for every event that the whole filter accepts in our meaning.
What cannot be said like that is left out; the recorder applies the whole filter anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal as OneOf
from typing import TypeAlias

from filters.fields import FIELDS
from filters.nodes import And, Expr, Field, Leaf, Node, Not, Or, operands, parts, render
from filters.predicate import predicate
from filters.push_host import imply_host
from filters.push_leaf import NOTHING, Implied, compared, imply_number, imply_text, made

Mode: TypeAlias = OneOf["safe", "all", "none"]

_SAFE = frozenset(name for name, spec in FIELDS.items() if "push" in spec.uses)
# Qtap's documentation has these for HTTP; its code never matches them for a transaction
_DOCUMENTED = frozenset(
    {"direction", "protocol", "process.path", "process.binary", "container.name"}
    | {"container.image", "pod.name", "pod.namespace"}
)


def pushable(expr: Expr, mode: Mode = "safe") -> str | None:
    """The condition to send to Qtap, or None where nothing can be pushed.

    "safe": over req.method, req.host and res.status only. "all": over every field that Qtap's
    documentation names too, which may well give an empty stream. "none": nothing.

    It relies on what decoding does: the row has Qtap's own status, Qtap's method (or POST for a
    gRPC call, where Qtap has none), and Qtap's host in lower case with at most its ends cut off.
    """
    if mode == "none":
        return None
    implied = _node(expr.root, True, _SAFE if mode == "safe" else _SAFE | _DOCUMENTED)
    return None if isinstance(implied, bool) else render(implied)


def _node(node: Node, wanted: bool, names: frozenset[str]) -> Implied:
    """What a pass (or, `wanted` false, a fail) of the node implies."""
    match node:
        case And(items):
            return _join([_node(item, wanted, names) for item in items], meet=wanted)
        case Or(items):
            return _join([_node(item, wanted, names) for item in items], meet=not wanted)
        case Not(item):
            return _node(item, not wanted, names)
        case _:
            return _leaf(node, wanted, names)


def _join(implied: Sequence[Implied], meet: bool) -> Implied:
    """AND (`meet`) or OR. True: implies nothing; False: never holds."""
    if any(one is (not meet) for one in implied):
        return not meet
    nodes: list[Node] = []
    for one in implied:
        if isinstance(one, bool):
            continue
        same = isinstance(one, And) if meet else isinstance(one, Or)
        nodes += one.items if same and isinstance(one, And | Or) else [one]
    unique = list({render(one): one for one in nodes}.values())
    if len(unique) < 2:
        return unique[0] if unique else meet
    return And(tuple(unique), 0, 0) if meet else Or(tuple(unique), 0, 0)


def _leaf(leaf: Leaf, wanted: bool, names: frozenset[str]) -> Implied:
    mentioned = [
        part for operand in operands(leaf) for part in parts(operand) if isinstance(part, Field)
    ]
    if len(mentioned) != 1 or mentioned[0].name not in names:
        return NOTHING
    field = mentioned[0]
    if field.name == "req.host":
        return imply_host(leaf, field, wanted)
    if field.name == "req.method":
        return _or_no_method(imply_text(leaf, field, wanted), leaf, field, wanted)
    number = FIELDS[field.name].kind == "int"
    return imply_number(leaf, field, wanted) if number else imply_text(leaf, field, wanted)


def _or_no_method(implied: Implied, leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """Where a POST is accepted, let gRPC calls through, too: Qtap leaves their method empty."""
    if isinstance(implied, bool):
        return implied
    accepts = predicate(Expr("", leaf if wanted else Not(leaf, 0, 0), False))
    delivers = predicate(Expr("", implied, False), "qtap")
    if not accepts({"req.method": "POST"}) or delivers({"req.method": ""}):
        return implied
    return Or((implied, compared(field, "==", made('""', ""))), 0, 0)
