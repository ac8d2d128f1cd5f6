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
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from filters import values
from filters.errors import FilterError
from filters.lexer import Token, tokenize
from filters.nodes import (
    And,
    Array,
    Call,
    Compare,
    CompareOp,
    Expr,
    Field,
    In,
    Literal,
    LiteralKind,
    Matches,
    Node,
    Not,
    Operand,
    Or,
    Truth,
)
from filters.suggest import explain

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
    "REGEX": values.parse_regex,
}
_KINDS: Final[dict[type, LiteralKind]] = {
    str: "string",
    bool: "bool",
    int: "int",
    float: "float",
    values.Ip: "ip",
    values.Net: "cidr",
    values.Mac: "mac",
    values.Hex: "hex",
    values.Regex: "regex",
}


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
            items.append(_joined(Or, members))
        self.mixes |= bare and len(items) > 1
        return _joined(And, items)

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
            return Matches(left, regex, left.start, regex.end)
        if self.take("IN"):
            if array := self.array():
                return In(left, array, left.start, array.end)
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


def _joined(make: type[And] | type[Or], items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else make(tuple(items), items[0].start, items[-1].end)
