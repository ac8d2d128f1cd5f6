"""HTML out of templates. Recorded text is hostile: it is escaped, and what nobody would see is
written out, by default and everywhere; only charts and what is built here are markup."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pages.ask import href, offered
from pages.charts import bar
from queries.core import format as words
from queries.core.escape import visible, visible_lines
from queries.core.question import every_question

_REDACTED: Final = re.compile(r"\[redacted:([a-z0-9_-]{1,40}):?([0-9A-Za-z]{0,32})\]")
_MARKUP: Final = re.compile(r"[\\`*_{}\[\]#|~]")
_MOST_NODES, _DEEPEST = 3_000, 24
_OPEN: Final = 3  # levels of a tree that are open


@cache
def _environment() -> Environment:
    """autoescape on, undefined names are errors, every value made visible."""
    made = Environment(
        loader=PackageLoader("pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else _shown(value),
    )
    made.filters.update(chips=chips, lines=lines, tree=tree, moment=words.clock, share=words.share,
                        size=words.size, millis=words.millis, number=words.number,
                        symptom=words.symptom_text)  # fmt: skip
    made.globals.update(href=href, words=words, timedelta=timedelta, bar=bar)
    return made


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value


def prepare() -> None:
    """Read the templates and load the questions, so that the first page need not wait for it."""
    list(every_question())
    for name in _environment().list_templates(["html"]):
        _environment().get_template(name)


def page(template: str, **context: Any) -> str:
    """A page of the site."""
    return _environment().get_template(template).render(questions=offered(), **context)


def markdown(**context: Any) -> str:
    """The report as Markdown."""
    return _markdown().get_template("report.md").render(**context)


@cache
def _markdown() -> Environment:
    """Every value is escaped for Markdown, which may hold HTML."""
    made = _environment().overlay(autoescape=False, finalize=_plain_words)
    made.filters = {**made.filters, "code": code, "lines": _plain}
    return made


def _plain_words(value: Any) -> Any:
    """Text that Markdown takes for nothing but text."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKUP.sub(r"\\\g<0>", visible(value)).replace("<", "&lt;")


def _plain(text: str) -> Markup:
    """A line of code, which Markdown leaves as it is."""
    return Markup(visible(text))


def code(text: str) -> Markup:
    """A command or an id as code of one line: no backtick ends it."""
    return Markup("`{}`").format(Markup(visible(text).replace("`", "'")))


def static(name: str) -> bytes:
    """A file of pages/static."""
    return (files("pages") / "static" / name).read_bytes()


@cache
def style() -> tuple[Markup, str]:
    """The style sheet for a page of one file, and its hash as a content security policy has it."""
    text = static("style.css").decode()
    digest = base64.b64encode(sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"


def lines(text: str) -> Markup:
    """Text of several lines as it is."""
    return escape(visible_lines(text))


def chips(text: str) -> Markup:
    """Text of several lines in which what redaction took out stands as a chip."""
    out, last = [], 0
    shown = visible_lines(text)
    for match in _REDACTED.finditer(shown):
        kind, print_ = match.groups()
        out.append(escape(shown[last : match.start()]))
        out.append(Markup('<span class="chip" title="redacted: {}">{} {}</span>').format(
            match[0], kind, print_[:6]))  # fmt: skip
        last = match.end()
    return Markup("").join([*out, escape(shown[last:])])


def tree(value: Any) -> Markup:
    """Plain data as nested <details>, to be opened without a script; cut where it is endless."""
    return Markup("").join(_tree(value, None, 0, [_MOST_NODES]))


def _tree(value: Any, name: Any, depth: int, left: list[int]) -> Iterator[Markup]:
    left[0] -= 1
    head = Markup("") if name is None else Markup('<span class="k">{}</span> ').format(_name(name))
    if left[0] < 0 or depth > _DEEPEST:
        if left[0] == -1 or depth > _DEEPEST:
            yield Markup("<li>{}…</li>").format(head)
        return
    if not isinstance(value, dict | list):
        kind = "s" if isinstance(value, str) else "n"
        text = value if isinstance(value, str) else json.dumps(value)
        yield Markup('<li>{}<span class="{}">{}</span></li>').format(head, kind, chips(text))
        return
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    count = f"{{{len(pairs)}}}" if isinstance(value, dict) else f"[{len(pairs)}]"
    if not pairs:
        yield Markup("<li>{}{}</li>").format(head, count)
        return
    inner = Markup("").join(part for k, v in pairs for part in _tree(v, k, depth + 1, left))
    opened = Markup(" open") if depth < _OPEN and len(pairs) <= 50 else Markup("")
    body = Markup("<details{}><summary>{}{}</summary><ul>{}</ul></details>").format(
        opened, head, count, inner
    )
    yield body if depth == 0 else Markup("<li>{}</li>").format(body)


def _name(name: Any) -> str:
    return visible(str(name)) or '""'
