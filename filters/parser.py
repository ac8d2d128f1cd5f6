"""Filter text to a tree. lark does the parsing and is imported only when something is parsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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

if TYPE_CHECKING:
    import lark

_OPS: dict[str, CompareOp] = {
    "EQ": "==",
    "NE": "!=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "CONTAINS": "contains",
}
_READERS: dict[str, Callable[[str], object]] = {
    "INT": values.parse_int,
    "FLOAT": values.parse_float,
    "BOOL": lambda raw: raw.lower() == "true",
    "STRING": lambda raw: values.retype(values.unquote(raw)),
    "IP": values.parse_ip,
    "CIDR": values.parse_net,
    "HEX": values.parse_hex,
    "REGEX": values.parse_regex,
}
_KINDS: dict[type, LiteralKind] = {
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
    from lark import UnexpectedToken

    driver: Any = _grammar().parse_interactive()
    for index, token in enumerate(tokens):
        try:
            driver.feed_token(_lark_token(token))
        except UnexpectedToken:
            raise explain(text, tokens, index, _accepted(tokens[:index])) from None
    try:
        return _Builder(text).expr(driver.feed_eof())
    except UnexpectedToken:
        raise explain(text, tokens, len(tokens), _accepted(tokens)) from None


def _accepted(tokens: list[Token]) -> set[str]:
    """Which terminals may follow. Asked of a fresh parser: a failed one has moved on."""
    driver: Any = _grammar().parse_interactive()
    for token in tokens:
        driver.feed_token(_lark_token(token))
    return set(driver.accepts())


@lru_cache(maxsize=1)
def _grammar() -> lark.Lark:
    import lark

    class Given(lark.lexer.Lexer):
        """Tokens are fed one by one; lark's own lexers would break ties differently."""

        def __init__(self, conf: object) -> None:
            del conf

        def lex(self, *_: Any) -> Iterator[lark.Token]:
            return iter(())

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", lexer=Given, maybe_placeholders=False)


def _lark_token(token: Token) -> lark.Token:
    import lark

    return lark.Token(token.kind, token.text, start_pos=token.start, end_pos=token.end)


class _Builder:
    """Makes our nodes of lark's parse tree, and notes where AND and OR meet bare."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mixes = False

    def expr(self, tree: lark.Tree[lark.Token]) -> Expr:
        root, _ = self._node(_tree(tree.children[0]))
        return Expr(self.text, root, self.mixes)

    def _node(self, tree: lark.Tree[lark.Token]) -> tuple[Node, bool]:
        """The node, and whether it stood in parentheses."""
        if tree.data == "group":
            return self._node(_tree(tree.children[1]))[0], True
        if tree.data in ("and_", "or_"):
            return self._chain(tree), False
        if tree.data == "not_":
            item, _ = self._node(_tree(tree.children[1]))
            return Not(item, _token(tree.children[0]).start_pos or 0, item.end), False
        return self._leaf(tree), False

    def _chain(self, tree: lark.Tree[lark.Token]) -> Node:
        # a chain leans to the left as deep as it is long: walk it in a loop
        kind, parts = tree.data, []
        while tree.data == kind:
            parts.append(_tree(tree.children[2]))
            tree = _tree(tree.children[0])
        items = []
        for part in (tree, *reversed(parts)):
            node, grouped = self._node(part)
            self.mixes |= isinstance(node, And | Or) and not grouped
            items.append(node)
        make = And if kind == "and_" else Or
        return make(tuple(items), items[0].start, items[-1].end)

    def _leaf(self, tree: lark.Tree[lark.Token]) -> Node:
        left = self._operand(_tree(tree.children[0]))
        if tree.data == "truth":
            return Truth(left, left.start, left.end)
        last = tree.children[-1]
        right = self._literal(last) if not hasattr(last, "data") else self._operand(_tree(last))
        place = left.start, right.end
        if tree.data == "matches":
            return Matches(left, cast(Literal, right), *place)
        if tree.data == "in_":
            return In(left, cast(Array, right), *place)
        if tree.data == "in_cidr":
            return Compare(left, "==", right, *place)
        operator = _token(_tree(tree.children[1]).children[0])
        return Compare(left, _OPS[operator.type], right, *place)

    def _operand(self, tree: lark.Tree[lark.Token]) -> Operand:
        first, last = tree.children[0], tree.children[-1]
        if tree.data == "literal":
            return self._literal(first)
        token = _token(first)
        start, name = token.start_pos or 0, str(token)
        if tree.data == "field":
            return Field(name, start, token.end_pos or 0)
        end = _token(last).end_pos or 0
        inner = [self._operand(_tree(part)) for part in tree.children if hasattr(part, "data")]
        if tree.data == "array":
            return Array(cast("tuple[Field | Literal, ...]", tuple(inner)), start, end)
        if name == "starts_with" and len(inner) != 2:
            reason = f"starts_with takes 2 arguments, not {len(inner)}"
            raise FilterError(self.text, reason, start, end, "starts_with(req.host, 'api.')")
        return Call(name, tuple(inner), start, end)

    def _literal(self, part: object) -> Literal:
        token = _token(part)
        start, end = token.start_pos or 0, token.end_pos or 0
        try:
            value = _READERS[token.type](str(token))
        except ValueError as error:
            raise FilterError(self.text, str(error), start, end) from None
        if value is None:
            hint = "the bits after the slash go to 32, or 128 for IPv6"
            raise FilterError(self.text, "this is not a network", start, end, hint)
        return Literal(_KINDS[type(value)], str(token), value, start, end)


def _tree(part: object) -> lark.Tree[lark.Token]:
    return cast("lark.Tree[lark.Token]", part)


def _token(part: object) -> lark.Token:
    return cast("lark.Token", part)
