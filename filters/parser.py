"""Filter text to a tree: a recursive descent over the tokens, one method a rule.

conjunction: disjunction (AND disjunction)*
disjunction: negation (OR negation)*               OR binds tighter than AND
negation:    NOT negation | "(" conjunction ")" | predicate
predicate:   number (< <= > >=) number
           | value (== != contains) value | value MATCHES regex
           | value IN array | value IN cidr | value
value:       literal | field | array | call
array:       "[" element ("," element)* "]"        elements are literals and fields
call:        NAME "(" [value ("," value)*] ")"

Text that does not parse gets an error that says what was expected and what was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from typing import Final
from typing import Literal as OneOf

from filters import values
from filters.lexer import Token, pattern_around, tokenize
from filters.nodes import (
    Array,
    BoolOp,
    Call,
    Compare,
    CompareOp,
    Expr,
    Field,
    FilterError,
    Literal,
    LiteralKind,
    Node,
    Not,
    Operand,
    Truth,
)

_ORDERS: Final[dict[str, CompareOp]] = {"LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_EQUALITIES: Final[dict[str, CompareOp]] = {"EQ": "==", "NE": "!=", "CONTAINS": "contains"}
_FIELDS: Final = ("NAME", "DOTTED")
_READERS: Final[dict[str, Callable[[str], object]]] = {
    "INT": values.parse_int,
    "FLOAT": values.parse_float,
    "BOOL": lambda raw: raw.lower() == "true",
    "STRING": lambda raw: values.retype(values.unquote(raw)),
    "IP": values.parse_ip,
    "CIDR": values.parse_net,
    "HEX": values.parse_hex,
    "REGEX": lambda raw: values.compile_regex(raw[1:-1]),
}
_KINDS: Final[dict[type, LiteralKind]] = {
    str: "string", bool: "bool", int: "int", float: "float", values.Ip: "ip", values.Net: "cidr",
    values.Mac: "mac", values.Hex: "hex", values.Regex: "regex",
}  # fmt: skip


def parse(text: str) -> Expr:
    """Parse a filter. FilterError (exit 2) names line, column and what to write instead."""
    tokens = tokenize(text)
    if not tokens:
        raise FilterError(text, "the filter is empty", 0, 0, 'for example: req.method == "POST"')
    parser = _Parser(text, tokens)
    root = parser.conjunction()
    parser.expect("$END")
    return Expr(text, root, parser.mixes)


class _Parser:
    """Where the reading is, and which kinds of token were looked for there in vain."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.index = 0
        self.missed: set[str] = set()
        self.mixes = False  # AND and OR met without parentheses

    def take(self, *kinds: str) -> Token | None:
        """The next token, if it is of one of these kinds."""
        at_end = self.index == len(self.tokens)
        token = Token("$END", "", 0, 0) if at_end else self.tokens[self.index]
        if token.kind not in kinds:
            self.missed.update(kinds)
            return None
        self.index += 1
        self.missed.clear()
        return token

    def expect(self, *kinds: str) -> Token:
        """The next token, which must be of one of these kinds or of one looked for before."""
        token = self.take(*kinds)
        if token is None:
            raise explain(self.text, self.tokens, self.index, self.missed)
        return token

    def conjunction(self) -> Node:
        items: list[Node] = []
        bare = False
        while not items or self.take("AND"):
            members = self.disjunction()
            bare |= len(members) > 1
            items.append(_joined("or", members))
        self.mixes |= bare and len(items) > 1
        return _joined("and", items)

    def disjunction(self) -> list[Node]:
        items = [self.negation()]
        while self.take("OR"):
            items.append(self.negation())
        return items

    def negation(self) -> Node:
        if word := self.take("NOT"):
            item = self.negation()
            return Not(item, word.start, item.end)
        if self.take("LPAR"):
            inner = self.conjunction()
            self.expect("RPAR")
            return inner
        return self.predicate()

    def predicate(self) -> Node:
        left = self.value()
        number = isinstance(left, Field) or getattr(left, "kind", "") in ("int", "float")
        if number and (order := self.take(*_ORDERS)):
            bound = self.number()
            return Compare(left, _ORDERS[order.kind], bound, left.start, bound.end)
        if equality := self.take(*_EQUALITIES):
            right = self.value()
            return Compare(left, _EQUALITIES[equality.kind], right, left.start, right.end)
        if self.take("MATCHES"):
            regex = self.literal(self.expect("REGEX"))
            return Compare(left, "matches", regex, left.start, regex.end)
        if self.take("IN"):
            if array := self.array():
                return Compare(left, "in", array, left.start, array.end)
            network = self.literal(self.expect("CIDR"))
            return Compare(left, "==", network, left.start, network.end)
        return Truth(left, left.start, left.end)

    def value(self) -> Operand:
        if array := self.array():
            return array
        token = self.expect(*_READERS, *_FIELDS)
        if token.kind == "NAME" and self.take("LPAR"):
            return self.call(token)
        return self.element(token)

    def number(self) -> Field | Literal:
        return self.element(self.expect("INT", "FLOAT", *_FIELDS))

    def element(self, token: Token) -> Field | Literal:
        if token.kind in _FIELDS:
            return Field(token.text, token.start, token.end)
        return self.literal(token)

    def array(self) -> Array | None:
        bracket = self.take("LSQB")
        if not bracket:
            return None
        items: list[Field | Literal] = []
        while not items or self.take("COMMA"):
            items.append(self.element(self.expect(*_READERS, *_FIELDS)))
        return Array(tuple(items), bracket.start, self.expect("RSQB").end)

    def call(self, name: Token) -> Call:
        args: list[Operand] = []
        closing = self.take("RPAR")
        while not closing:
            args.append(self.value())
            closing = None if self.take("COMMA") else self.expect("RPAR")
        if name.text == "starts_with" and len(args) != 2:
            reason = f"starts_with takes 2 arguments, not {len(args)}"
            hint = "starts_with(req.host, 'api.')"
            raise FilterError(self.text, reason, name.start, closing.end, hint)
        return Call(name.text, tuple(args), name.start, closing.end)

    def literal(self, token: Token) -> Literal:
        reason, hint = "this is not a network", "the bits after the slash go to 32, or 128 for IPv6"
        try:
            value = _READERS[token.kind](token.text)
        except ValueError as error:
            value, reason, hint = None, str(error), ""
        if value is None:
            refusal = FilterError(self.text, reason, token.start, token.end, hint)
            refusal.token = token.kind
            raise refusal
        return Literal(_KINDS[type(value)], token.text, value, token.start, token.end)


def _joined(op: OneOf["and", "or"], items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else BoolOp(op, tuple(items), items[0].start, items[-1].end)


_COMPARISONS = {"EQ", "NE", "CONTAINS", "MATCHES", "IN"}
_ORDER_KINDS = set(_ORDERS)
_VALUES = {"INT", "FLOAT", "BOOL", "STRING", "IP", "CIDR", "HEX", "REGEX", "NAME", "DOTTED"}
_NAMES = {"NAME", "DOTTED"}
# words and signs of other languages, where an operator is due
_FOREIGN = {
    "equals": "==", "like": "contains, or matches /…/", "ilike": "matches /(?i)…/",
    "regex": "matches /…/", "match": "matches /…/", "has": "contains", "includes": "contains",
    "xor": "and, or, not",
}  # fmt: skip


def explain(text: str, tokens: list[Token], index: int, accepted: Set[str]) -> FilterError:
    """The error for the token at `index` (past the last: the end), where `accepted` may stand."""
    token = tokens[index] if index < len(tokens) else None
    start = token.start if token else len(text.rstrip())
    end = token.end if token else start
    what = f"unexpected {token.text!r}" if token else "the filter ends too early"
    hint = _negated_operator(tokens, index) or _foreign_word(tokens, index)
    hint = hint or _meant(tokens, index)
    before = _at(tokens, index - 1)
    if token and before.kind == "REGEX" and before.end == start:
        compared = _at(tokens, index - 2).kind in ("EQ", "NE", "CONTAINS")
        quoted = f'write text in quotes: "{text[before.start :].split(maxsplit=1)[0]}"'
        hint = quoted if compared else pattern_around(text, start) or hint
    error = FilterError(text, f"{what}: expected {_expected(accepted)}", start, end, hint)
    error.token, error.accepted = (token.kind if token else "$END"), frozenset(accepted)
    return error


def _expected(accepted: Set[str]) -> str:
    names = []
    if {"STRING", "NAME"} <= accepted:
        names.append("a field or a value")
    elif accepted & {"INT", "FLOAT"}:
        names.append("a number or a field")
    if accepted & (_COMPARISONS | _ORDER_KINDS):
        orders = " < <= > >=" if accepted & _ORDER_KINDS else ""
        names.append(f"an operator (== !={orders} contains matches in)")
    if "AND" in accepted:
        names.append("AND, OR")
    simple = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "COMMA": ","}
    call = "EQ" in accepted  # a name may be a function's, but that is rarely what is missing
    signs = [sign for kind, sign in simple.items() if kind in accepted]
    names += [f"'{sign}'" for sign in signs if not (call and sign == "(")]
    if "REGEX" in accepted and "STRING" not in accepted:
        names.append("a pattern /…/")
    if "CIDR" in accepted and "STRING" not in accepted:
        names.append("a network like 10.0.0.0/8")
    if "NOT" in accepted:
        names.append("not")
    if "$END" in accepted:
        names.append("the end")
    return ", ".join(names[:-1]) + (" or " if names[1:] else "") + names[-1]


def _at(tokens: list[Token], index: int) -> Token:
    nothing = Token("", "", 0, 0)
    return tokens[index] if 0 <= index < len(tokens) else nothing


def _negated_operator(tokens: list[Token], index: int) -> str:
    before, here, after = (_at(tokens, index + step) for step in (-1, 0, 1))
    if here.kind != "NOT" or after.kind not in _COMPARISONS | _ORDER_KINDS:
        return ""
    right = _at(tokens, index + 2)
    value = right.text if right.kind in _VALUES else "…"
    if right.kind == "LSQB":
        value = _listed(tokens, index + 2)
    return f"write not ({before.text} {after.text} {value})"


def _listed(tokens: list[Token], start: int) -> str:
    """The list that opens at a token, words in quotes; […] where it has no end or is long."""
    items: list[str] = []
    for token in tokens[start + 1 : start + 20]:
        if token.kind in ("RSQB", "RPAR") and items:
            return f"[{', '.join(items)}]"
        if token.kind != "COMMA":
            items.append(f'"{token.text}"' if token.kind == "NAME" else token.text)
    return "[…]"


def _foreign_word(tokens: list[Token], index: int) -> str:
    before, here, after = (_at(tokens, index + step) for step in (-1, 0, 1))
    word = here.text.lower()
    if before.kind not in _VALUES or here.kind not in _NAMES:
        return ""
    if word.replace("_", "") in ("startswith", "beginswith"):
        return f"write starts_with({before.text}, {after.text or '…'})"
    if word.replace("_", "") == "endswith":
        return f"write {before.text} matches /…$/"
    if word == "is":
        negated = after.kind == "NOT"
        value = _at(tokens, index + 2) if negated else after
        if value.text.lower() in ("null", "nil", "none", "missing", "empty"):
            return f"write {'not ' * negated}missing({before.text})"
        return f"write {'!=' if negated else '=='} instead of is{' not' * negated}"
    if word == "exists":
        return f"write not missing({before.text})"
    if word == "between":
        return f"write {before.text} >= … and {before.text} <= …"
    if word in _FOREIGN:
        return f"write {_FOREIGN[word]} instead of {here.text}"
    if before.kind == "INT" and before.end == here.start and set(word) == {"x"}:
        low = before.text.ljust(3, "0")
        return f"write res.status >= {low} and res.status < {int(before.text[:1] or 0) + 1}00"
    return ""


_VALUE: Final = rf"\b(?:NUM)?(?:{'|'.join(sorted(_VALUES))})\b"
_ORDER: Final = rf"\b(?:{'|'.join(sorted(_ORDER_KINDS))})\b"
_OPERATOR: Final = rf"\b(?:{'|'.join(sorted(_COMPARISONS | _ORDER_KINDS))})\b"
_WRITE_OUT: Final = "write the number out, without exponent or unit"
# Kinds of tokens -> what to write: of the two before the one at fault, of that (>), and of the one
# after it. + where one touches the one before; NUMHEX: hex that begins as a number, as 1e of 1e3.
_HINTS: Final = (
    ("LT.>GT", "write != for unequal"),
    (r"\b(NE|EQ|LE|GE).>EQ", "write == or !="),
    ("MATCHES.>", "write a pattern between slashes: matches /{pattern}/"),
    (r"\bIN.>LPAR", "write in {listed}"),
    (r"\bIN.>STRING", "write in [{here}], or contains"),
    (rf"\bIN.>{_VALUE}", "write in [{here}]"),
    (r"\bIN.>", "write in […]"),
    ("LSQB.>RSQB", "a list has at least one value"),
    (">LSQB", "lists cannot be nested"),
    (rf"(LSQB|COMMA) {_VALUE} >{_VALUE}", "put a comma between {before} and {here}"),
    ("COMMA.>RSQB", "leave out the last comma"),
    (r">NUMHEX\+", _WRITE_OUT),
    (r"IP\+>INT|INT\+>FLOAT|FLOAT\+>FLOAT", "an IP address has four parts, each 0 to 255"),
    (r"HEX\+>", "{before!r} was read as hex: write numbers out, put spaces around words"),
    (rf"\b(INT|FLOAT)\+>{_VALUE}", _WRITE_OUT),
    (rf"{_ORDER}.>{_VALUE}", "only numbers can be ordered: write {before} {number}"),
    (rf">{_ORDER}.\w", "only numbers and fields can stand beside {here}"),
    (rf"RPAR.>{_OPERATOR}", "an expression in parentheses cannot be compared: compare its parts"),
    (rf"{_OPERATOR}.>LPAR", "leave out the parentheses around the value"),
    ("DOTTED.>LPAR", "functions are starts_with, zone and in_zone"),
)


def _meant(tokens: list[Token], index: int) -> str:
    """The first of _HINTS that fits the token at fault and those around it."""
    around = [_at(tokens, index + step) for step in (-2, -1, 0, 1)]
    kinds = ["NUMHEX" if one.kind == "HEX" and one.text[0].isdigit() else one.kind
             for one in around]  # fmt: skip
    _, before, here, after = around
    gaps = ["+" if one.kind and other.kind and one.end == other.start else " "
            for one, other in ((before, here), (here, after))]  # fmt: skip
    place = f"{kinds[0]} {kinds[1]}{gaps[0]}>{kinds[2]}{gaps[1]}{kinds[3]}"
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, place)), "")
    number = here.text.strip("\"'")
    return hint.format(
        before=before.text, here=here.text, listed=_listed(tokens, index),
        pattern=here.text[1:-1].replace("/", "\\/") if here.kind == "STRING" else "…",
        number=number if number.isascii() and number.isdigit() else "…",
    )  # fmt: skip
