"""What is worth saying about a filter that is right as far as it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from filters.fields import FieldSpec, resolve
from filters.nodes import (
    Array,
    BoolOp,
    Call,
    Compare,
    Expr,
    Field,
    Leaf,
    Literal,
    Node,
    Not,
    Truth,
    comparison,
    field_nodes,
    leaves,
    missing_of,
    operands,
    parts,
    render,
)
from filters.predicate import predicate
from filters.values import Hex, Regex

_KINDS: Final = {"text": "text", "int": "a number", "texts": "a list of texts"}
_LITERALS: Final = {"string": "text", "int": "a number", "float": "a number", "ip": "an address",
                    "regex": "a pattern"}  # fmt: skip


def remarks(expr: Expr) -> list[str]:
    """Sentences for a person: how AND and OR were read, and what hardly can be meant.

    Call it after `check`; fields that do not exist are not its business.
    """
    sentences = [f"AND and OR mixed: read as {expr.pretty()}"] if expr.mixes else []
    sentences += _standing_alone(expr)
    for leaf, negated in _leaves(expr.root):
        if all(resolve(field.name) for field in field_nodes(leaf)):
            sentences += _of_leaf(expr, leaf, negated)
    return list(dict.fromkeys(sentences))


def _leaves(node: Node, negated: bool = False) -> Iterator[tuple[Leaf, bool]]:
    """The predicates, left to right, and whether each stands under an odd number of NOTs."""
    match node:
        case BoolOp(items=items):
            for item in items:
                yield from _leaves(item, negated)
        case Not(item):
            yield from _leaves(item, not negated)
        case _:
            yield node, negated


def _standing_alone(expr: Expr) -> Iterator[str]:
    """`req.method == "GET" or "POST"`: the second value is compared with nothing."""
    before: Leaf | None = None
    alone: list[Literal] = []
    for leaf in [*leaves(expr.root), None]:
        if isinstance(leaf, Truth) and isinstance(leaf.operand, Literal):
            alone.append(leaf.operand)
            continue
        if alone:
            yield _alone(alone, before)
        before, alone = leaf, []


def _alone(literals: list[Literal], before: Leaf | None) -> str:
    raws = [literal.raw for literal in literals]
    always = all(predicate(Expr("", Truth(one, 0, 0), False))({}) for one in literals)
    if len(raws) > 1:
        what = f"{', '.join(raws)} stand alone and {'always' if always else 'do not all'} hold"
    else:
        what = f"{raws[0]} stands alone and {'always' if always else 'never'} holds"
    return f"{what}: {_instead(literals, before)}"


def _instead(literals: list[Literal], before: Leaf | None) -> str:
    """What was probably meant, by the comparison that stands before."""
    raws = [literal.raw for literal in literals]
    match before:
        case Compare(Field(name), "==" | "!=" as op, Literal() as first):
            plain = op == "==" and all(one.kind != "ip" for one in literals)
            return f"write {name} {'in' if plain else op} [{', '.join([first.raw, *raws])}]"
        case Compare(Field(name), "in", Array(items)):
            return f"write {name} in [{', '.join([*map(render, items), *raws])}]"
        case Compare(Field(name), "matches", Literal() as first) if all(
            one.kind == "regex" for one in literals
        ):
            return f"write {name} matches /{'|'.join(one.raw[1:-1] for one in [first, *literals])}/"
        case Compare(Field(name)):
            return f"write {name} == {raws[0]}"
    field = "res.status" if literals[0].kind == "int" else "req.host"
    return f"compare it with a field, such as {field} == {raws[0]}"


def _of_leaf(expr: Expr, leaf: Leaf, negated: bool) -> Iterator[str]:
    for literal in _literals(leaf):
        if literal.kind == "int" and re.match(r"[+-]?0[0-9]", literal.raw):
            yield f"{literal.raw} is octal, that is {literal.value}"
    field = next(field_nodes(leaf), None)
    spec = resolve(field.name) if field else None
    if field is None or spec is None:
        yield from _constant(leaf)
        return
    absent = missing_of(leaf) and spec.always
    if absent or comparison(leaf, spec.kind) == ("==", []):
        yield f"{render(leaf)} never holds: {_why(leaf, field, spec)}"
        return
    yield from _missing(expr, leaf, field, spec, negated)
    if spec.kind == "text":
        yield from _addresses(leaf)
    yield from _impossible(leaf, field)


def _constant(leaf: Leaf) -> Iterator[str]:
    if isinstance(leaf, Truth) and isinstance(leaf.operand, Literal):
        return  # said by _standing_alone
    holds = "always" if predicate(Expr("", leaf, False))({}) else "never"
    words = [one.raw for one in _literals(leaf) if isinstance(one.value, Hex)]
    why = f": {words[0]} is a hex value, no field" if words else ": there is no field in it"
    yield f"{render(leaf)} {holds} holds{why}"


def _why(leaf: Leaf, field: Field, spec: FieldSpec) -> str:
    kind = _KINDS[spec.kind]
    if missing_of(leaf):
        return f"{field.name} is always there"
    op, right = (leaf.op, leaf.right) if isinstance(leaf, Compare) else ("", None)
    if op == "contains" and spec.kind == "int":
        return f"contains is for text and lists, {field.name} is a number"
    if isinstance(right, Literal):
        what = _LITERALS.get(right.kind, right.kind)
        return f"{field.name} is {kind}, {right.raw} is {what}"
    if op == "in" and any(one.kind == "ip" for one in _literals(leaf)):
        return "inside in […] an address equals no text; write == […] instead"
    return f"{field.name} is {kind}"


def _missing(expr: Expr, leaf: Leaf, field: Field, spec: FieldSpec, negated: bool) -> Iterator[str]:
    """What is not there is picked by nothing but missing(field)."""
    name, absent = field.name, f"missing({field.name})"
    known = [one.name for other in leaves(expr.root) if (one := missing_of(other))]
    if spec.always or name in known:
        return
    match leaf:
        case Truth(Field()) if negated:
            yield f"not {name} takes only what has it empty; {absent} takes what has none"
        case Compare(Field(), "==", Literal(value="")) if not negated:
            yield f"{render(leaf)} takes only what has it empty; {absent} takes what has none"
        case Compare(Field(), "==" | "!=" as op, Literal()) if (op == "!=") != negated:
            if name.startswith(("container.", "pod.")):
                yield f"this leaves out what has no {name}; to keep it: … or {absent}"


def _addresses(leaf: Leaf) -> Iterator[str]:
    """Addresses are text in rows."""
    for literal in _literals(leaf):
        op = leaf.op if isinstance(leaf, Compare) else ""
        if literal.kind == "cidr" and op in ("==", "!="):
            raw = literal.raw
            yield f"{raw} is compared as text, not as a network: write matches /^10\\./"
        elif literal.kind == "ip" and op == "in":
            yield f"{literal.raw} equals no text inside in […]: write == […] instead"


class _Values(NamedTuple):
    """What a field can be: a pattern for the whole value, and what to write for another one."""

    pattern: str
    advice: str | Callable[[str], str]


def _one_of(names: str, more: str = "") -> _Values:
    listed = names.replace("|", ", ")
    return _Values(names, f"it is one of {listed}{more}")


def _host_meant(text: str) -> str:
    name = re.sub(r"^[a-z+]+://", "", text.lower()).partition("/")[0]
    name = re.sub(r":(?:80|443)$", "", name)
    if name.startswith(("*.", ".")):
        return f'write in_zone(req.host, "{name.lstrip("*.")}")'
    return f'hosts are in lower case, without scheme and default port; write "{name}"'


_POSSIBLE: Final = {
    "direction": _one_of(
        "ingress|egress-internal|egress-external", '; direction contains "egress" takes both'
    ),
    "protocol": _one_of("http1|http2|grpc"),
    "outcome": _one_of(
        "ok|client_error|server_error|no_response", '; outcome != "ok" takes all that failed'
    ),
    "req.scheme": _one_of("http|https"),
    "req.method": _Values("[^a-z]*", "methods are in capitals"),
    "req.host": _Values(r"(?!\.)[^A-Z/*?\s]*(?<!:443)(?<!:80)", _host_meant),
    "process.binary": _Values("[^/]*", "it is the name alone; process.path has the whole path"),
    "process.path": _Values("(/.*)?", "it is a whole path; process.binary is the name alone"),
    "req.path": _Values(r"(?:[/*][^?]*)?", "it begins with /; see also req.query, req.url"),
    "route": _Values(r"(?:[/*].*)?", "it begins with /"),
    "req.query": _Values(r"(?:[^?].*)?", "it is without the ?"),
    "req.url": _Values(r".*://.*", "it is the whole address; req.host and req.path are its parts"),
    "grpc_status": _Values("[0-9]*(?:OK)?", 'it is a number as text, "14" for UNAVAILABLE'),
    "res.status": _Values(
        "[1-9][0-9][0-9]", 'without a response it is 422; outcome == "no_response" takes just those'
    ),
}  # fmt: skip


def _impossible(leaf: Leaf, field: Field) -> Iterator[str]:
    """Values that a field never has."""
    possible = _POSSIBLE.get(field.name)
    whole = isinstance(leaf, Compare) and leaf.op in ("==", "!=", "in")
    for literal in _literals(leaf) if possible else ():
        regex = literal.value.pattern if isinstance(literal.value, Regex) else None
        text = str(literal.value) if regex is None else regex
        if possible is None or literal.kind not in ("string", "int", "regex"):
            continue
        if whole:
            can_be = regex is not None or bool(re.fullmatch(possible.pattern, text))
        elif isinstance(leaf, Compare) and leaf.op == "contains" and "|" in possible.pattern:
            can_be = any(text in one for one in possible.pattern.split("|"))
        else:
            can_be = field.name != "req.host" or _in_a_host(text, leaf, regex is not None)
        if not can_be:
            verb = "is never" if whole else "never goes with"
            meant = possible.advice if isinstance(possible.advice, str) else possible.advice(text)
            yield f"{field.name} {verb} {literal.raw}: {meant}"


def _in_a_host(text: str, leaf: Leaf, regex: bool) -> bool:
    """Whether a part of a host, a pattern or a zone can be as it is written."""
    if regex:
        return "(?i)" in text or not re.search(r"(?<!\\)[A-Z]", text)
    call = leaf.operand if isinstance(leaf, Truth) else None
    zone = isinstance(call, Call) and call.name == "in_zone"
    return not re.search(r"[A-Z*]|://", text) and not (zone and text.startswith("."))


def _literals(leaf: Leaf) -> list[Literal]:
    """The literals of a predicate, also inside lists and calls."""
    inner = (part for operand in operands(leaf) for part in parts(operand))
    return [part for part in inner if isinstance(part, Literal)]
