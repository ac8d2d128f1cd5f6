"""The declaration of a question: what every face needs to know to offer it.

A question is a function of a module in queries/ and a `Question` beside it. The command with its
flags and its table, the tool with its arguments and its schema, and the page of docs come from it.
"""

from __future__ import annotations

import base64
import inspect
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from queries.core.escape import visible
from queries.core.window import Asked, resolve_window, resolve_windows
from store.errors import UsageError, check_choice
from store.marks import read_marks
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store

    Where: TypeAlias = Expr | None  # what is asked about: all that passes a filter, or all
else:
    Where = Any  # the filter language takes 50 ms to be imported

T = TypeVar("T")
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 200  # rows that an assistant gets at once
REQUIRED: Final = object()
_DEEPEST: Final = 20_000  # rows before a page; who wants more wants an export

# How a value is shown. names: (some names, how many there are); status: (status, gRPC status);
# endpoint: (method, host, route); program: a path, by its last part; id: of a transaction.
Kind = Literal["text", "count", "share", "ms", "bytes", "clock", "moment", "span", "names",
               "status", "endpoint", "program", "id"]  # fmt: skip
Group = Literal["incident", "traffic", "transactions", "store"]
GROUPS: Final[tuple[Group, ...]] = ("incident", "traffic", "transactions", "store")


@dataclass(frozen=True)
class Column:
    """A column of the table that people see.

    value: the row's field (`called.requests` for one within another), or a function of the row.
    give: its cells may be cut where the terminal is narrow, those with a higher number first;
    optional: it is left out altogether before anything is cut; sparse: where no row has it.
    """

    title: str
    value: str | Callable[[Any], Any] = ""
    kind: Kind = "text"
    give: int = 0
    optional: bool = False
    sparse: bool = False

    def of(self, row: Any) -> Any:
        if callable(self.value):
            return self.value(row)
        for name in (self.value or self.title).split("."):
            row = getattr(row, name)
        return row


# What people see of an answer: a line of text (queries.core.format has two kinds more), or a table.
Part: TypeAlias = str | tuple[Sequence[Column], Sequence[Any]]


def in_use(columns: Sequence[Column], rows: Sequence[Any]) -> list[Column]:
    """Those that a table of these rows shows."""
    return [c for c in columns if not c.sparse or any(c.of(row) is not None for row in rows)]


@dataclass(frozen=True)
class Argument:
    """An argument of a question, a flag of its command: typed, bounded, described once.

    most: characters of a text, or the largest number; metavar: what stands for its value in help.
    alone: on the command line it stands without a name, as one that is REQUIRED does. left_out:
    its value where the flag stands there without one. brief: help in fewer words, for a list that
    an assistant reads with every conversation.
    """

    name: str
    help: str
    metavar: str = "TEXT"
    most: int = 0
    default: Any = None
    kind: type = str
    least: int | None = None
    choices: tuple[str, ...] = ()
    flag: str = ""  # where it is not --name
    short: str = ""  # -n beside it
    alone: bool = False
    left_out: str = ""
    brief: str = ""

    @property
    def positional(self) -> bool:
        return self.alone or self.default is REQUIRED

    @property
    def option(self) -> str:
        return self.flag or "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> None:
        """UsageError for a value that is none of the choices."""
        if self.choices and value is not None:
            check_choice(self.option, str(value), self.choices)


WINDOW: Final = (
    Argument("last", "Length of the window: 90s, 15m, 1h, 2d. Default: 1h.", "DURATION", 40,
             brief="Length: 90s, 15m, 1h (default), 2d."),
    Argument(
        "from_time",
        "Its beginning: 14:00, 'yesterday 14:00', '10 minutes ago', 2026-11-22T13:00Z. Times"
        " without a zone are in the user's.",
        "TIME", 60, flag="--from",
        brief="Beginning: 14:00, 'yesterday 14:00', 2026-11-22T13:00Z.",
    ),
    Argument("to_time", "Its end. Default: now.", "TIME", 60, flag="--to",
             brief="End; default now."),
    Argument("since", "From a named mark (or a time) up to now.", "MARK", 200,
             brief="From a mark or time up to now."),
    Argument(
        "around",
        "The hour (or as long as `last` says) after a named mark (or a time), such as a deploy; a"
        " comparison takes the time before it as its baseline.",
        "MARK", 200, brief="The hour (or `last`) after a mark or time.",
    ),
)  # fmt: skip
BASELINE: Final = (
    Argument(
        "vs",
        "Compare with: previous (the stretch just before; the default), yesterday (the same time),"
        " 7d (the same time of the last 7 days), last-week.",
        "WHEN", 40, brief="Baseline: previous (default), yesterday, 7d (that time of 7 days).",
    ),
    Argument("vs_from", "Beginning of a baseline of your own.", "TIME", 60,
             brief="Or its beginning."),
    Argument("vs_to", "Its end. Default: as long as the window.", "TIME", 60),
)  # fmt: skip
WHERE: Final = Argument(
    "where",
    "Only what matches this filter, as in 'res.status >= 500 AND req.host == \"a.example\"'.",
    "FILTER", 4000, brief="Filter: res.status >= 500 AND req.host == \"a.example\".",
)  # fmt: skip
LIMIT: Final = Argument(
    "limit", "Rows to return at most.", "N", MAX_LIMIT, DEFAULT_LIMIT, int, 1, brief="Rows at most."
)
CURSOR: Final = Argument(
    "cursor",
    "The `next_cursor` of the page before, with all else as it was.",
    "TEXT",
    400,
    brief="Of the page before; all else as it was.",
)
CONTAINER: Final = Argument(
    "container", "Only what this container (or program, outside of one) did.", "NAME", 300
)

BY: Final = Argument(
    "by", "Count apart by recorder, or by group of recorders.", "WHAT",
    choices=("recorder", "group"), brief="Apart by recorder or group.",
)  # fmt: skip
APART: Final = (Column("recorder", sparse=True), Column("group", sparse=True))  # its columns


@dataclass(frozen=True)
class Question:
    """A question on every face.

    name: of its command, and of the module that it stands in, whose first words begin the command's
    help; tool: for assistants, empty: none. summary: for the list of commands, in 25 letters.
    function: takes the store, a window, a baseline, and its arguments by name, as far as they are
    declared. rows: the field of the answer that a table, jsonl and csv show. lines: the rows
    themselves, where they are not that field. noun: what its window counts. page: of docs, where it
    is not the name. flag: of the command, which asks this instead of the module's first question.
    filter_first: the command takes its filter without --where, too. core: one of the few tools that
    an assistant is shown from the start; it asks the others by their names. further: lists of the
    answer beside `rows` that `limit` cuts as well. parts: what people see where that is more than a
    table of the rows, of the answer, what its window says (a line to begin with), and the zone of
    times.
    """

    name: str
    tool: str
    title: str
    summary: str
    group: Group
    function: Callable[..., Any]
    answer: type[Any]
    guide: str
    help: str = ""
    rows: str = ""
    arguments: Sequence[Argument] = ()
    window: bool = True
    baseline: bool = False
    columns: Sequence[Column] = ()
    lines: Callable[[Any], Sequence[Any]] | None = None
    parts: Callable[[Any, str, tzinfo], Iterator[Part]] | None = None
    noun: str = "request"
    empty: str = "nothing was recorded that matches"
    page: str = ""
    flag: Argument | None = None
    filter_first: bool = False
    core: bool = False
    further: Sequence[str] = ()

    @property
    def every_argument(self) -> tuple[Argument, ...]:
        """Those of the window and the baseline first."""
        window = (*(WINDOW if self.window else ()), *(BASELINE if self.baseline else ()))
        return (*window, *self.arguments)

    def default(self, name: str) -> Any:
        """What the argument is where it is left out; None where there is no such argument."""
        return next((one.default for one in self.arguments if one.name == name), None)

    @property
    def flags(self) -> tuple[Argument, ...]:
        """The same as its command has them."""
        return self.every_argument + ((self.flag,) if self.flag else ())

    @property
    def limit(self) -> int:
        """How many rows it takes for enough; 0 where rows are not in question."""
        return self.default("limit") or 0

    @property
    def lists(self) -> tuple[str, ...]:
        """The fields of the answer that `limit` cuts and a cursor goes on with."""
        return (self.rows, *self.further) if self.rows else ()

    def rows_of(self, answer: Any) -> Sequence[Any]:
        rows: Sequence[Any] = self.lines(answer) if self.lines else getattr(answer, self.rows)
        return rows

    @property
    def docs(self) -> str:
        return self.page or f"{self.name}.md"

    def ask(
        self, store: Store, values: Mapping[str, Any], now: datetime, tz: tzinfo, **more: Any
    ) -> Any:
        """The answer. values: those of every argument, as texts and numbers; None: not given.

        Raises UsageError for what does not parse or is no choice, and what the question raises.
        """
        for argument in self.every_argument:
            argument.check(values.get(argument.name))
        own = {argument.name: values[argument.name] for argument in self.arguments
               if argument.name in values}  # fmt: skip
        if "where" in own:
            own["where"] = parsed(own["where"])
        page = None
        if self._pages:
            page = _page_of(own.pop("cursor", None), now, self._check(values))
            limit, now = own.get("limit") or self.limit, page.now
            own["limit"] = page.offset + limit
        spans: tuple[Any, ...] = ()
        if self.window:
            asked = asked_window(lambda: store, values)
            resolve = resolve_windows if self.baseline else resolve_window
            resolved: Any = resolve(asked, now, tz)
            spans = resolved if self.baseline else (resolved,)
        answer = self.function(store, *spans, **own, **more)
        return answer if page is None else self._after(answer, page)

    @cached_property
    def _pages(self) -> bool:
        """Whether its pages are cut here, out of a longer answer: its function knows no cursor."""
        known = inspect.signature(self.function).parameters
        return CURSOR in self.arguments and "cursor" not in known

    def _check(self, values: Mapping[str, Any]) -> int:
        """A number for what is asked, but for how much of it and from where on."""
        own = [(one.name, values.get(one.name)) for one in self.every_argument
               if one.name not in ("cursor", "limit")
               and values.get(one.name) not in (None, "", one.default)]  # fmt: skip
        return zlib.crc32(repr((self.tool, own)).encode())

    def _after(self, answer: Any, page: _Page) -> Any:
        """The answer without what stood on the pages before."""
        lists = {name: getattr(answer, name)[page.offset :] for name in self.lists}
        offset = page.offset + max(map(len, lists.values()))
        more = answer.truncated and offset > page.offset
        cursor = to_cursor(page.now.isoformat(), offset, page.check) if more else None
        return replace(answer, **lists, next_cursor=cursor)


@dataclass(frozen=True)
class _Page:
    """A page after `offset` rows of what was asked at `now`; check: of what was asked.

    A cursor holds these three, so that the next page goes on with the same answer even when now
    has moved on.
    """

    now: datetime
    offset: int
    check: int


def to_cursor(*place: object) -> str:
    """A place in an answer, and a check of what was asked for: opaque to its reader."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def from_cursor(cursor: str, check: int, read: Callable[..., T]) -> T:
    """What `read` makes of a cursor's place. UsageError for one that is none, which `read` tells by
    ValueError, or of something else."""
    try:
        *place, known = json.loads(base64.urlsafe_b64decode(cursor))
        result = read(*place)
    except (ValueError, TypeError, OverflowError, RecursionError, UsageError):
        raise UsageError(
            f"{visible(cursor[:40])!r} is no cursor", "Take next_cursor of the page before as it is"
        ) from None
    if known != check:
        raise UsageError(
            "the cursor belongs to another question",
            "Repeat the arguments of the page before, or leave the cursor out.",
        )
    return result


def _page_of(cursor: str | None, now: datetime, check: int) -> _Page:
    """The first page, or the one that a cursor names. UsageError for one of something else."""

    def read(moment: str, offset: int) -> _Page:
        page = _Page(datetime.fromisoformat(moment), int(offset), check)
        if page.now.tzinfo is None or not 0 < page.offset <= _DEEPEST:
            raise ValueError(offset)
        return page

    return from_cursor(cursor, check, read) if cursor else _Page(now, 0, check)


def chosen(questions: Sequence[Question], values: dict[str, Any]) -> Question:
    """The question that the given flags ask: another than the first, where a flag is only its.

    Takes out of `values` what it does not know. UsageError for a flag that it does not take.
    """
    first = {argument.name for argument in questions[0].every_argument}
    best = questions[0]
    for question in questions[1:]:
        own = [flag for flag in question.flags if flag.name not in first]
        if any(values.get(flag.name) is not None for flag in own):
            for flag in own:
                flag.check(values.get(flag.name))
            best = question
    known = {argument.name for argument in best.every_argument}
    for name in [name for name in values if name not in known]:
        value = values.pop(name)
        if value is not None and not any(name == flag.name for flag in best.flags):
            raise UsageError(
                f"--{name.replace('_', '-')} does not go together with the other flags",
                f"`qrec {best.name} --help` says what it is for; leave one of them out.",
            )
    return best


def limit_of(most: int, help: str = LIMIT.help) -> Argument:
    """The argument for how many rows, where it is not DEFAULT_LIMIT."""
    return replace(LIMIT, default=most, help=help, brief="" if help != LIMIT.help else LIMIT.brief)


def asked_window(store: Callable[[], Store], values: Mapping[str, Any]) -> Asked:
    """The window (and baseline) as it was asked for; marks are read only where one is named."""
    texts = {argument.name: values.get(argument.name) for argument in (*WINDOW, *BASELINE)}
    marks: dict[str, datetime] = {}
    if texts["since"] is not None or texts["around"] is not None:
        marks = {mark.name: mark.ts for mark in read_marks(store())}
    from_, to = texts.pop("from_time"), texts.pop("to_time")
    return Asked(from_=from_, to=to, marks=marks, **texts)


def parsed(where: str | None) -> Where:
    """A filter's text, parsed and its fields checked; None or blank: none."""
    if where is None or not where.strip():
        return None
    import filters

    expression = filters.parse(where)
    filters.check(expression, where="where")
    return expression


# Commands whose module is not queries/<name>.py: those of the comparison, which is a package.
_MODULES: Final = {"diff": "queries.diff.what_changed", "calibrate": "queries.diff.calibrate"}
_FOLDER: Final = Path(__file__).parents[1]
_DECLARED: Final = re.compile(
    r'= Question\(\s+name="(\w+)",\s+tool="\w*",\s+title="[^"]*",'
    r'\s+summary="([^"]*)",\s+group="(\w+)"'
)


@cache
def question_names() -> tuple[str, ...]:
    """The names of all commands that are questions, without importing any."""
    own = {one.stem for one in _FOLDER.glob("*.py")}
    return tuple(sorted((own | _MODULES.keys()) - {"__init__"}))


def module_of(name: str) -> str:
    return _MODULES.get(name, f"queries.{name}")


@cache
def questions_of(name: str) -> tuple[Question, ...]:
    """The questions that the module of a command declares: the first is the command's own."""
    declared = vars(import_module(module_of(name))).values()
    return tuple(one for one in declared if isinstance(one, Question) and one.name == name)


def summaries() -> dict[str, str]:
    """Every command that is a question, by group: its name and its summary, as the text of its
    module declares them. Importing all of them takes half a second, for a line of each."""
    declared = []
    for name in question_names():
        path = module_of(name).removeprefix("queries.").replace(".", "/")
        text = (_FOLDER / f"{path}.py").read_text(encoding="utf-8")
        declared += [found for found in _DECLARED.findall(text) if found[0] == name][:1]
    declared.sort(key=lambda found: GROUPS.index(found[2]))
    return {name: summary for name, summary, _ in declared}


def every_question() -> Iterator[Question]:
    """All questions, by their groups and names; imports all of their modules."""
    found = [one for name in question_names() for one in questions_of(name)]
    yield from sorted(found, key=lambda one: GROUPS.index(one.group))


def tools(sql: bool = False) -> dict[str, Question]:
    """The questions that are tools; sql: also the SELECT of one's own, which wants consent."""
    return {one.tool: one for one in every_question() if one.tool and (sql or one.name != "sql")}
