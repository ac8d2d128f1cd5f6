"""Database statements without their values: what was asked, not about whom.

    SELECT * FROM users WHERE id IN (1, 2, 3)  ->  SELECT * FROM users WHERE id IN (?)
    SET session:9s6XKzkNRiz8i3 {...} EX 60     ->  SET session:{id}
    Produce orders-events                      ->  Produce orders-events

Statements arrive unredacted, so this is also what keeps their values off the disk: whatever is
not surely the language itself (a quoted text, a number, an argument) goes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from recorder.normalize.tokens import TABLES, name_segment

MAX_INPUT: Final = 8192  # characters looked at
MAX_STATEMENT: Final = 1000  # characters kept

_SQL: Final = re.compile(
    r"""
      (?P<skip>  --[^\n]* | /\*.*?(?:\*/|\Z) | \#(?![>-])[^\n]* )
    | (?P<text>  (?:\b[enxbENXB]|\b_\w{1,20}\s?)? '(?:[^'\\]|\\.|'')*(?:'|\Z)
               | \$(?P<tag>\w{0,20})\$ .*? (?:\$(?P=tag)\$|\Z) )
    | (?P<quoted> "(?:[^"\\]|\\.|"")*(?:"|\Z) )
    | (?P<number> (?<![\w$.])(?:0[xX][\da-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)(?![\w]) )
    | (?P<bound> \$\d+\b | %\(\w{1,64}\)s | %s\b | (?<![:\w]):\w{1,64} | \?\d* )
    | (?P<name> `(?:[^`]|``)*(?:`|\Z) | [^\W\d][\w$\#]* )
    | (?P<space> \s+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_TIGHT: Final = re.compile(r"(?<=[(\[]) | (?=[,)\];])")
_SIGN: Final = re.compile(
    r"([(\[,=<>]\s?|\b(?:limit|offset|between|and|values|then|else)\s)[-+] ?\?", re.I
)
_LIST: Final = re.compile(r"([(\[])\?(?:, ?\?)+([)\]])")
_ROWS: Final = re.compile(r"(\((?:[^()]|\([^()]{0,200}\)){0,2000}\))(?:, ?\1)+")
_AFTER: Final = frozenset({"savepoint", "prepare", "execute", "deallocate", "listen", "notify"})

_ARGUMENT: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\S+")
_REDIS: Final = TABLES["redis"]
_PLAIN_COMMANDS, _SUB_COMMANDS, _SUB_WITH_KEY, _MANY_KEYS = (
    frozenset(_REDIS[name].split()) for name in ("plain", "sub", "sub_with_key", "many_keys")
)


def normalise(database_type: str, statement: str | None) -> str | None:
    """The statement with every value taken out, at most MAX_STATEMENT characters.

    `database_type` is Qtap's (redis, mysql, postgresql, kafka, …); an unknown one is read as SQL
    in which everything quoted is a value. None stays None; nothing is raised, whatever comes.
    """
    if not statement:
        return statement
    found = _normalise(database_type.lower(), statement[:MAX_INPUT])
    if len(found) > MAX_STATEMENT:
        return found[: MAX_STATEMENT - 1] + "…"
    return found


@lru_cache(maxsize=2048)
def _normalise(kind: str, statement: str) -> str:
    if kind in {"redis", "valkey"}:
        return _redis(statement)
    if kind == "kafka":
        return _kafka(statement)
    return _sql(statement, quoted_names=kind in {"postgres", "postgresql", "sqlite", "oracle"})


def _sql(statement: str, quoted_names: bool) -> str:
    pieces: list[str] = []
    word = ""  # the last word, in lower case
    for found in _SQL.finditer(statement):
        kind, text = found.lastgroup, found[0]
        if kind in {"skip", "space"}:
            pieces.append(" ")
        elif kind in {"text", "number", "bound", "tag"} or (kind == "quoted" and not quoted_names):
            pieces.append("?")
        elif kind in {"name", "quoted"}:
            pieces.append("?" if word in _AFTER else _name(text))
            word = text.lower()
        else:
            pieces.append(text if text.isprintable() else " ")
            word = word if text == "." else ""
    text = " ".join("".join(pieces).split()).rstrip("; ")
    text = _SIGN.sub(r"\1?", _TIGHT.sub("", text))
    text = _LIST.sub(r"\1?\2", text)
    return _ROWS.sub(r"\1", text)


def _name(text: str) -> str:
    """A table, a column, a keyword; tables of a day or a job lose their number."""
    if sum(c.isdigit() for c in text) < 4:
        return text if len(text) <= 128 else "?"
    return name_segment(text)


def _redis(statement: str) -> str:
    lines = [line for line in statement.splitlines() if line.strip()]
    if statement.startswith("*"):  # as on the wire: *2 $3 GET $3 foo
        lines = [" ".join(line for line in lines if line[0] not in "*$")]
    commands = list(dict.fromkeys(_redis_command(line) for line in lines[:20]))
    return "; ".join(commands[:5]) + ("; …" if len(commands) > 5 or len(lines) > 20 else "")


def _redis_command(line: str) -> str:
    words = [found[0].strip("\"'") for found in _ARGUMENT.finditer(line)]
    command = words[0].upper() if words else ""
    if not re.fullmatch(r"[A-Z][A-Z_.]{0,30}", command):
        return "?"
    if command in _PLAIN_COMMANDS:
        return command
    if command in _SUB_COMMANDS:
        sub = words[1].upper() if len(words) > 1 and words[1].isalpha() else ""
        keys = words[2:3] if command in _SUB_WITH_KEY else []
        return " ".join([command, sub[:20], *map(_key, keys)]).strip()
    patterns = list(dict.fromkeys(_key(key) for key in _keys(command, words)[:50]))
    return " ".join([command, *patterns[:3], *(["…"] if len(patterns) > 3 else [])])


def _keys(command: str, words: list[str]) -> list[str]:
    if command in _MANY_KEYS:
        return words[1:]
    if command in {"MSET", "MSETNX"}:
        return words[1::2]
    if command in {"BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"}:
        return words[1:-1]
    if command in {"XREAD", "XREADGROUP"}:
        upper = [word.upper() for word in words]
        at = upper.index("STREAMS") + 1 if "STREAMS" in upper else len(words)
        return words[at : at + (len(words) - at + 1) // 2]
    if (at := _REDIS["counted_keys"].get(command, 0)) and len(words) > at:
        count = int(words[at]) if words[at].isdecimal() and len(words[at]) < 4 else 0
        return words[at + 1 : at + 1 + count]
    return words[1:2]


def _key(key: str) -> str:
    return name_segment(key)[:128]


def _kafka(statement: str) -> str:
    """The operation and its topics; a message, should one follow, goes."""
    head = re.split(r"[{\[\"']", statement, maxsplit=1)
    words = [name_segment(word) for word in re.split(r"[\s,]+", head[0].strip())[:20] if word]
    return " ".join([*words, *(["?"] if len(head) > 1 else [])])
