"""Charts as inline SVG: values in, markup out. Colours come from CSS classes alone.

Every chart has a title and a description for those who do not see it; its ticks are hidden from
screen readers, which would read each of them. A line is broken where a value is None (nobody was
recording), and that stretch is hatched. Ids begin with the chart's own, so that many fit a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from markupsafe import Markup, escape

from queries.core.escape import cut, visible
from store.values import dataclass

WIDTH: Final = 800
_TOP, _PANEL, _BETWEEN, _AXIS = 36, 74, 20, 20
_LETTER: Final = 8  # units of a label's letter at most


@dataclass(frozen=True)
class Line:
    """One panel of a chart over time: a value a bucket, None where nobody was recording.

    css: the class of its area; shown: how its highest value is written.
    """

    name: str
    values: Sequence[float | None]
    css: str = "requests"
    shown: Callable[[float], str] = "{:,.0f}".format


@dataclass(frozen=True)
class Tag:
    """A moment with a name, from 0 (left) to 1; css: onset or mark."""

    at: float
    label: str
    css: str = "onset"


@dataclass(frozen=True)
class Slot:
    """A stretch to be picked, from 0 to 1: where its link leads, and what it is called."""

    begin: float
    end: float
    href: str
    label: str


def shown(text: str) -> Markup:
    """Text for markup: escaped, and what nobody would see written out."""
    return escape(visible(text))


def series(
    name: str,
    title: str,
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    tags: Sequence[Tag] = (),
    shade: tuple[float, float] | None = None,
    slots: Sequence[Slot] = (),
    seen: Sequence[float] | None = None,
) -> Markup:
    """Panels beneath one another over the same time. ticks: (0..1, label); shade: the window.

    seen: how much of each bucket was recorded; by default a panel is hatched where it has no value.
    """
    bottom = _TOP + len(lines) * (_PANEL + _BETWEEN)
    parts = []
    if shade is not None:
        x, end = (WIDTH * at for at in shade)
        parts.append(_rect("shade", x, _TOP, end - x, bottom - _TOP))
    known = None if seen is None else [one or None for one in seen]
    for at, line in enumerate(lines):
        top = _TOP + at * (_PANEL + _BETWEEN)
        for begin, end in _gaps(known or line.values):
            x, end = WIDTH * begin, WIDTH * end
            parts.append(_rect("gap", x, top, end - x, _PANEL + _BETWEEN, f"url(#{name}-gap)"))
        parts += _panel(line, top + _BETWEEN)
    parts += [_axis(ticks, bottom), *_tags(tags, bottom)]
    told = _told(lines, tags, known or lines[0].values)
    drawn = _svg(name, title, told, WIDTH, bottom + _AXIS, parts, hatch=True)
    if not slots:
        return drawn
    links = [
        f'<a href="{shown(s.href)}" aria-label="{shown(s.label)}">'
        f"<title>{shown(s.label)}</title>"
        f"{_rect('slot', WIDTH * s.begin, _TOP, WIDTH * (s.end - s.begin), bottom - _TOP)}</a>"
        for s in slots
    ]
    over = (
        f'<svg class="slots" viewBox="0 0 {WIDTH} {bottom + _AXIS}" role="group"'
        f' aria-label="Parts of the time, to look closer">{"".join(links)}</svg>'
    )
    return Markup(f'<div class="layers">{drawn}{over}</div>')


def histogram(
    name: str,
    title: str,
    before: Sequence[float],
    after: Sequence[float],
    ticks: Sequence[tuple[float, str]],
) -> Markup:
    """Shares by bin: the baseline as an outline, the window as an area over it."""
    top = max([*before, *after], default=0.0)
    base = 22 + 2 * _PANEL
    scale = (2 * _PANEL) / top if top > 0 else 0.0
    parts = [
        _path("requests", _steps(after, scale, base, WIDTH)),
        _path("before", _steps(before, scale, base, WIDTH)),
        _axis(ticks, base),
        f'<text class="peak" x="{WIDTH}" y="14" text-anchor="end">highest: {100 * top:.0f} %</text>'
        f'<text class="name" x="0" y="14">window: area, baseline: outline</text>',
    ]
    told = f"Window: most in bin {_highest(after)} of {len(after)}; baseline: {_highest(before)}."
    return _svg(name, title, told, WIDTH, base + _AXIS, parts)


def spark(
    name: str, title: str, before: Sequence[float | None], after: Sequence[float | None]
) -> Markup:
    """A small chart of a finding's measure: the window as an area over the baseline's outline."""
    wide, high = 160, 40
    top = _peak([*before, *after])
    scale = (high - 4) / top if top > 0 else 0.0
    parts = [
        _path("before", _steps(before, scale, high, wide)),
        _path("area", _steps(after, scale, high, wide)),
    ]
    told = f"Highest {top:.4g} over {len(after)} slots."
    return _svg(name, title, told, wide, high, parts, css="spark", flat=True)


def bar(end: float, begin: float = 0.0, css: str = "requests") -> Markup:
    """A bar of a table's cell, from 0 to 1; the number beside it says the same."""
    x, wide = 100 * begin, max(100 * (end - begin), 0.6)
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f"{_rect(css, min(x, 99.4), 0, wide, 10)}</svg>"
    )


def _svg(
    name: str, title: str, told: str, wide: int, high: int, parts: Sequence[str],
    hatch: bool = False, css: str = "chart", flat: bool = False,
) -> Markup:  # fmt: skip
    pattern = (
        f'<defs><pattern id="{name}-gap" width="7" height="7" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><path class="hatch" d="M0 0V7"/></pattern></defs>'
    )
    stretched = ' preserveAspectRatio="none"' if flat else ""
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {wide} {high}"{stretched} role="img"'
        f' aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{shown(title)}</title>'
        f'<desc id="{name}-d">{shown(told)}</desc>{pattern if hatch else ""}{"".join(parts)}</svg>'
    )


def _panel(line: Line, top: float) -> Iterator[str]:
    peak = _peak(line.values)
    base = top + _PANEL
    scale = (_PANEL - 4) / peak if peak > 0 else 0.0
    yield f'<path class="base" d="M0 {base}H{WIDTH}"/>'
    yield _path(line.css, _steps(line.values, scale, base, WIDTH))
    yield (
        f'<g aria-hidden="true"><text class="name" x="0" y="{top - 4}">'
        f"{shown(cut(line.name, 48))}</text>"
        f'<text class="peak" x="{WIDTH}" y="{top - 4}" text-anchor="end">highest: '
        f"{shown(line.shown(peak))}</text></g>"
    )


def _peak(values: Sequence[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def _steps(values: Sequence[float | None], scale: float, base: float, wide: float) -> str:
    """An outline of steps, closed at the base; begun anew after each gap."""
    step, path, down = wide / max(len(values), 1), [], True
    for at, value in enumerate(values):
        if value is None:
            path += [] if down else [f"V{base:.1f}Z"]
            down = True
            continue
        y = base - value * scale
        path.append(f"M{at * step:.1f} {base:.1f}V{y:.1f}" if down else f"V{y:.1f}")
        path.append(f"H{(at + 1) * step:.1f}")
        down = False
    return "".join(path if down else [*path, f"V{base:.1f}Z"])


def _gaps(values: Sequence[float | None]) -> Iterator[tuple[float, float]]:
    """Runs of None, from 0 to 1."""
    begin: int | None = None
    for at, value in enumerate([*values, 0.0]):
        if value is None:
            begin = at if begin is None else begin
        elif begin is not None:
            yield begin / len(values), at / len(values)
            begin = None


def _axis(ticks: Sequence[tuple[float, str]], y: float) -> str:
    labels = []
    for at, label in ticks:
        anchor = "start" if at < 0.04 else "end" if at > 0.96 else "middle"
        x = WIDTH * min(max(at, 0.0), 1.0)
        labels.append(f'<path d="M{x:.1f} {y}v4"/><text x="{x:.1f}" y="{y + 16}"'
                      f' text-anchor="{anchor}">{shown(label)}</text>')  # fmt: skip
    return f'<g class="ticks" aria-hidden="true">{"".join(labels)}</g>'


def _tags(tags: Sequence[Tag], bottom: float) -> Iterator[str]:
    """Lines with labels above them, those of marks highest; a label without room beside the one
    before joins it."""
    labels: list[tuple[str, float, str]] = []
    for tag in sorted(tags, key=lambda one: (one.css, one.at)):
        x = WIDTH * tag.at
        yield f'<g class="{tag.css}"><path d="M{x:.1f} {_TOP - 6}V{bottom}"/></g>'
        css, begin, text = labels[-1] if labels else ("", 0.0, "")
        left = min(x, WIDTH - _LETTER * len(tag.label))
        if css == tag.css and left < begin + _LETTER * len(text):
            comma = ", " if css == "mark" else ","
            labels[-1] = (css, begin, cut(f"{text}{comma}{tag.label}", 24))
        else:
            labels.append((tag.css, x, cut(tag.label, 24)))
    for css, x, text in labels:
        anchor = "end" if x + _LETTER * len(text) > WIDTH else "start"
        yield (
            f'<g class="{css}" aria-hidden="true"><text x="{x:.1f}" text-anchor="{anchor}"'
            f' y="{_TOP - (23 if css == "mark" else 8)}">{shown(text)}</text></g>'
        )


def _told(lines: Sequence[Line], tags: Sequence[Tag], seen: Sequence[float | None]) -> str:
    """The chart in words."""
    parts = [f"{a.name}: highest {a.shown(_peak(a.values))} in a bucket" for a in lines]
    missing = sum(value is None for value in seen)
    parts += [f"{missing} of {len(seen)} buckets were not recorded"] if missing else []
    parts += [f"{tag.css} {tag.label}" for tag in tags]
    return "; ".join(parts) + "."


def _highest(values: Sequence[float]) -> int:
    return 1 + max(range(len(values)), key=values.__getitem__, default=0)


def _rect(css: str, x: float, y: float, wide: float, high: float, fill: str = "") -> str:
    own = f' fill="{fill}"' if fill else ""
    return (
        f'<rect class="{css}"{own} x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"/>'
    )


def _path(css: str, d: str) -> str:
    return f'<path class="{css}" d="{d}"/>' if d else ""
