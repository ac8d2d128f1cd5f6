"""stdout is data, stderr is narration: the only module of the command line that writes to either.

Tables are written here, fixed width, without a library: they must come at once at two in the
morning, look the same in a pipe, and never carry an escape that was recorded.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self, TextIO

from queries.core import format as words
from queries.core.escape import cut, visible, visible_json, width
from queries.core.question import Column
from store.errors import QrecError
from store.values import dataclass

Format = Literal["table", "json", "jsonl", "csv", "md"]
FORMATS: tuple[Format, ...] = ("table", "json", "jsonl", "csv", "md")
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_LEAST = 12  # columns that a shortened cell keeps


class ReaderGone(Exception):
    """Whoever read our output closed it: `| head` had enough. No error."""


def emit(text: str) -> None:
    """Write data to stdout, now."""
    if sys.stdout is not None:  # closed by the shell: `>&-`
        with answering():
            sys.stdout.write(text)
            sys.stdout.flush()


def emit_bytes(data: bytes) -> None:
    """Write bytes to stdout as they are: only where stdout is no terminal."""
    if sys.stdout is not None:
        with answering():
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Where stdout is written: ReaderGone or QrecError where it cannot be."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise QrecError(
            f"cannot write the answer: {error.strerror}", "Check where the output goes."
        ) from None


@contextlib.contextmanager
def able(what: str, hint: str) -> Iterator[None]:
    """Where a file of the user's is read or written: QrecError where that cannot be."""
    try:
        yield
    except OSError as error:
        raise QrecError(f"cannot {what}: {error.strerror}", hint) from None


def say(text: str) -> None:
    """Write a line of narration to stderr, now."""
    narrate(text + "\n")


def narrate(text: str) -> None:
    """Write to stderr as it is. Where nobody listens (a full disk, a closed pipe), work goes on."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Line:
    """A line at the bottom of the terminal; notes go above it.

    Elsewhere there are only notes, with a time (`stamped`) where they may be days apart. It is
    taken away at the end of a `with`.
    """

    def __init__(self, stamped: bool = False) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty()
        self._stamped = stamped
        self._text = ""

    def show(self, text: str) -> None:
        if self.live:
            self._text = cut(visible(text), _columns() - 1)
            narrate(f"\r{self._text}\x1b[K")

    def note(self, text: str) -> None:
        if not self.live:
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ ") if self._stamped else ""
            say(f"{stamp}{visible(text)}")
            return
        narrate("\r\x1b[K")
        say(visible(text))
        self.show(self._text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        if self.live and self._text:
            narrate("\r\x1b[K")
            self._text = ""


class FetchProgress:
    """How much of a bucket's files is here: `fetching 12.0 MiB of 200.0 MiB`."""

    def __init__(self) -> None:
        self.line = Line()

    def __call__(self, here: int, wanted: int) -> None:
        self.line.show(f"fetching {words.size(here)} of {words.size(wanted)}")
        if here >= wanted:
            self.line.clear()


def wants_color(choice: str, stream: TextIO | None) -> bool:
    """Whether to colour: `always`, `never`, or a terminal without NO_COLOR for `auto`."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


@dataclass(frozen=True)
class Painter:
    """Text in a style, or as it is where there is no colour."""

    color: bool

    def __call__(self, text: str, style: str | None) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color and style and text else text


PLAIN = Painter(False)


def _columns() -> int:
    """Of the terminal, or 80: as shutil says, which takes 2 ms to import."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    with contextlib.suppress(OSError):
        return os.get_terminal_size().columns or 80
    return 80


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None for a file or a pipe, where nothing is cut."""
    if "COLUMNS" in os.environ or (sys.stdout is not None and sys.stdout.isatty()):
        return max(_columns(), 40)
    return None


def to_json(document: Any, indent: int | None = 2) -> str:
    """The document as JSON, readable and harmless on a terminal. NaN is refused, not written."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=indent)
    return visible_json(text) + "\n"


def to_jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(to_json(row, indent=None) for row in rows)


def to_csv(rows: Sequence[Mapping[str, Any]], fallback: Sequence[str]) -> str:
    """RFC 4180 with a header, `fallback` where no row gives one. Nested values: `name.key`."""
    import csv  # 5 ms that a table need not wait for

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    flat = [flatten(row) for row in rows]
    names = list(flat[0]) if flat else list(fallback)
    writer.writerow(names)
    for row in flat:
        writer.writerow(["" if (v := row.get(n)) is None else visible(str(v)) for n in names])
    return out.getvalue()


def flatten(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A row with nested mappings spread into dotted names and lists joined with spaces."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            flat[prefix + name] = " ".join(str(item) for item in value)
        else:
            flat[prefix + name] = value
    return flat


def to_markdown(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(visible(c).replace("|", "\\|") for c in cells) + " |\n"

    rule = line("---:" if column.kind in words.NUMERIC else "---" for column in columns)
    return line(column.title for column in columns) + rule + "".join(map(line, rows))


def to_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    limit: int | None,
    paint: Painter = PLAIN,
) -> str:
    """Fixed-width text with a heading, fitted into `limit` columns of the terminal."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [
        max([width(column.title), *(width(row[at]) for row in cells)])
        for at, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    if limit is not None:
        kept = _fitting(columns, widths, limit)
        _shrink(widths, columns, kept, limit)
    titles = _line([column.title for column in columns], widths, columns, kept)
    lines = [paint(titles, "bold"), *(_line(row, widths, columns, kept) for row in cells)]
    return "\n".join(lines) + "\n"


def _fitting(columns: Sequence[Column], widths: Sequence[int], limit: int) -> list[int]:
    """All columns where they fit, else those that are not optional."""
    everything = list(range(len(columns)))
    if _needed(widths, everything) <= limit:
        return everything
    return [at for at in everything if not columns[at].optional]


def _needed(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[at] for at in kept) + 2 * (len(kept) - 1)


def _shrink(widths: list[int], columns: Sequence[Column], kept: Sequence[int], limit: int) -> None:
    """Take from the columns that give, the widest of the readiest, until the table fits."""
    over = _needed(widths, kept) - limit
    while over > 0:
        giving = [at for at in kept if columns[at].give and widths[at] > _LEAST]
        if not giving:
            return
        readiest = max(columns[at].give for at in giving)
        widest = max((at for at in giving if columns[at].give == readiest), key=widths.__getitem__)
        widths[widest] -= 1
        over -= 1


def _line(
    cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column], kept: Sequence[int]
) -> str:
    laid = []
    for at in kept:
        text = cut(cells[at], widths[at])
        space = " " * (widths[at] - width(text))
        laid.append(space + text if columns[at].kind in words.NUMERIC else text + space)
    return "  ".join(laid).rstrip()


_BLOCKS, _DEAF = "▁▂▃▄▅▆▇█", "·"
_ASCII, _ASCII_DEAF = "_.:-=+*#", "?"


def unicode_output() -> bool:
    """Whether stdout can show blocks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").startswith("utf")


def chart(values: Sequence[float | None], top: float, blocks: bool = True) -> str:
    """A character a value, `top` the highest; zero is a blank, None (nobody looked) a dot."""
    heights, deaf = (_BLOCKS, _DEAF) if blocks else (_ASCII, _ASCII_DEAF)
    return "".join(deaf if value is None else _height(value, top, heights) for value in values)


def bars(values: Sequence[float], top: float, width: int, blocks: bool = True) -> str:
    """At most `width` characters: neighbours share one, which shows their mean; zero is low."""
    heights = _BLOCKS if blocks else _ASCII
    group = max(1, -(-len(values) // width))
    means = [sum(values[at : at + group]) / len(values[at : at + group])
             for at in range(0, len(values), group)]  # fmt: skip
    if top <= 0:
        return heights[0] * len(means)
    return "".join(heights[min(len(heights) - 1, int(mean / top * len(heights)))] for mean in means)


def legend(blocks: bool = True) -> str:
    """What the characters mean, for below a chart."""
    return f"blank: none; {_DEAF if blocks else _ASCII_DEAF}: nobody was recording"


def squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most `width` values: neighbours share one, which is their largest."""
    if len(values) <= width:
        return list(values)
    group = -(-len(values) // width)
    parts = (values[at : at + group] for at in range(0, len(values), group))
    return [max((v for v in part if v is not None), default=None) for part in parts]


def _height(value: float, top: float, heights: str) -> str:
    if value <= 0 or top <= 0:
        return " "
    return heights[min(len(heights) - 1, int(value / top * len(heights)))]
