"""Charts, graph, tree and colours of the pages: what is drawn, and what is never drawn."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from markupsafe import Markup

import pages
from pages import charts
from pages.findings import time_ticks
from pages.graph import MOST, Edge, draw
from pages.render import chips, style, tree
from queries.core.window import Window

HOSTILE = "</title><script>alert(1)</script>\"'&"
STYLE = (Path(pages.__file__).parent / "static" / "style.css").read_text()


def timeline(values: list[float | None]) -> Markup:
    return charts.series(
        "c", HOSTILE, [charts.Line(HOSTILE, values), charts.Line("failed", values, "failed")],
        [(0.0, "13:00"), (1.0, HOSTILE)], [charts.Tag(0.5, HOSTILE)], (0.5, 1.0),
        [charts.Slot(0.0, 1.0, '/?a="b&c', HOSTILE)],
    )  # fmt: skip


def test_a_chart_is_named_escaped_and_coloured_by_classes_alone() -> None:
    drawn = timeline([1, 2, 3])
    assert 'role="img" aria-labelledby="c-t c-d"' in drawn
    assert '<title id="c-t">' in drawn
    assert '<desc id="c-d">' in drawn
    assert "<script" not in drawn
    assert "style=" not in drawn
    assert not re.search(r"#[0-9a-f]{3,6}\b(?!-)", drawn.replace("url(#c-gap)", ""))
    assert 'href="/?a=&#34;b&amp;c"' in drawn
    assert drawn == timeline([1, 2, 3])


def test_ticks_are_hidden_from_those_who_hear_a_page() -> None:
    drawn = timeline([1, 2, 3])
    assert '<g class="ticks" aria-hidden="true">' in drawn
    for group in re.findall(r"<text[^>]*>[^<]*</text>", drawn):
        before = drawn[: drawn.index(group)]
        assert before.count('<g class="') + before.count("<g aria") > before.count("</g>")


def test_a_line_breaks_at_a_gap_and_the_gap_is_hatched() -> None:
    drawn = timeline([4, None, None, 4])
    [area] = re.findall(r'<path class="requests" d="([^"]*)"', drawn)
    assert area.count("M") == area.count("Z") == 2
    assert '<rect class="gap" fill="url(#c-gap)" x="200.0"' in drawn
    assert "2 of 4 buckets were not recorded" in drawn
    assert "gap" not in re.sub(r"<defs>.*?</defs>", "", timeline([4, 0, 0, 4]))


def test_one_side_that_was_not_recorded_is_hatched_alone() -> None:
    lines = [charts.Line("window", [1, 1]), charts.Line("baseline", [1, None])]
    drawn = charts.series("c", "one", lines, [])
    [gap] = re.findall(r'<rect class="gap"[^>]*y="([0-9.]+)"', drawn)
    [(window, baseline)] = re.findall(r'y="(\d+)">window.*y="(\d+)">baseline', drawn)
    assert float(window) < float(gap) < float(baseline)


def labels(tags: list[charts.Tag]) -> list[tuple[str, str]]:
    """(how high, what) of the labels over a chart."""
    drawn = charts.series("c", "one", [charts.Line("requests", [1.0])], [], tags)
    found = re.findall(r'<g class="(?:onset|mark)"[^>]*><text x="[^"]*"(?: text-anchor="[a-z]*") '
                       r'y="(\d+)">([^<]*)', drawn)  # fmt: skip
    return [(high, text) for high, text in found]


def test_labels_of_one_moment_stand_beside_one_another() -> None:
    """Findings of one cause begin at one minute, and shortly after the deploy that made them."""
    onsets = [charts.Tag(0.5, str(rank)) for rank in (1, 2, 3)] + [charts.Tag(0.9, "4")]
    marks = [charts.Tag(0.49, "deploy 1234", "mark"), charts.Tag(0.5, "x" * 90, "mark")]
    (high, name), (low, first), (_, second) = labels([*onsets, *marks])
    assert (first, second) == ("1,2,3", "4")
    assert name.startswith("deploy 1234, x")
    assert len(name) == 24
    assert int(high) < int(low) - 10  # in a line of its own


def test_a_long_name_leaves_room_for_the_number_beside_it() -> None:
    drawn = charts.series("c", "one", [charts.Line("a" * 200, [1.0])], [])
    assert "a" * 47 + "…</text>" in drawn


@pytest.mark.parametrize("values", [[], [None], [0, 0], [None, None]])
def test_nothing_to_draw_is_drawn_all_the_same(values: list[float | None]) -> None:
    assert timeline(values).endswith("</svg></div>")
    numbers = [value or 0.0 for value in values]
    for drawn in (
        charts.histogram("h", "t", numbers, numbers, []),
        charts.spark("s", "t", numbers, numbers),
    ):
        assert "NaN" not in drawn
        assert drawn.endswith("</svg>")


def test_bars_stay_within_their_cell() -> None:
    assert 'x="0.0" y="0.0" width="50.0"' in charts.bar(0.5)
    assert 'x="99.4"' in charts.bar(1.0, 1.0)


def test_two_charts_share_no_id() -> None:
    ids = re.findall(r'id="([^"]*)"', charts.series("a", "t", [charts.Line("x", [1])], [])
                     + charts.series("b", "t", [charts.Line("x", [1])], []))  # fmt: skip
    assert len(ids) == len(set(ids)) == 6


def edge(a: str, b: str, weight: int = 10, css: str = "") -> Edge:
    return Edge((a, "container"), (b, "host"), weight, f"{a} to {b}", css)


def test_a_graph_has_callers_left_of_callees() -> None:
    drawn = draw("g", "Graph", [edge("a", "b"), Edge(("b", "host"), ("c", "host"), 5, "b to c")])
    at = dict(re.findall(r'<title>(\w) \(\w+\)</title><rect x="(\d+)"', drawn.svg))
    assert int(at["a"]) < int(at["b"]) < int(at["c"])
    assert drawn.left_out == 0


def test_a_box_has_the_beginning_of_a_name_and_the_program_of_a_path() -> None:
    long = [("hooks.partner-1.shops.example", "host"), ("hooks.partner-8.shops.example", "host")]
    curl = ("/usr/local/bin/curl", "process")
    svg = draw("g", "calls", [Edge(curl, one, 1, "") for one in long]).svg
    assert re.findall(r">([^<>]+)</text>", svg) == [
        "curl", "hooks.partner-1.s…", "hooks.partner-8.s…"
    ]  # fmt: skip
    assert "/usr/local/bin/curl (process)" in svg


def test_a_circle_and_a_call_to_oneself_are_drawn() -> None:
    ways = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "c")]
    edges = [Edge((x, "process"), (y, "process"), 1, f"{x}{y}") for x, y in ways]
    drawn = draw("g", HOSTILE, edges)
    assert drawn.svg.count('class="edge') == 4
    assert "<script" not in drawn.svg
    assert draw("g", HOSTILE, edges) == drawn


def test_of_too_many_nodes_the_busiest_and_the_marked_are_drawn() -> None:
    edges = [edge("hub", f"n{n}", 1000 - n) for n in range(MOST + 20)]
    edges.append(edge("hub", "rare", 1, "new"))
    drawn = draw("g", "Graph", edges)
    assert drawn.svg.count('<g class="node') == MOST
    assert drawn.left_out == 22
    assert "rare" in drawn.svg


def test_a_graph_without_edges_is_empty() -> None:
    assert draw("g", "Graph", []).svg.endswith("</svg>")


def test_redactions_are_chips_and_nothing_else_is_markup() -> None:
    shown = chips("<b>[redacted:jwt:abcdef0123]</b>\n\x1b\u202e")
    assert (
        '<span class="chip" title="redacted: [redacted:jwt:abcdef0123]">jwt abcdef</span>' in shown
    )
    assert "<b>" not in shown
    assert "\\x1b\\u202e" in shown


def test_a_tree_is_bounded_and_escaped() -> None:
    deep: object = "end"
    for _ in range(200):
        deep = [deep]
    shown = tree({HOSTILE: deep, "many": list(range(10_000))})
    assert "<script" not in shown
    assert shown.count("<li>") < 3_100
    assert shown.count("<ul>") == shown.count("</ul>")


def test_ticks_are_round_times_of_the_users_clock() -> None:
    start = datetime(2026, 11, 22, 12, 3, tzinfo=UTC)
    ticks = time_ticks(Window(start, start + timedelta(hours=2)), UTC)
    assert [label for _, label in ticks][:2] == ["12:15", "12:30"]
    assert all(0 <= at <= 1 for at, _ in ticks)


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(mode: str) -> None:
    light, dark = STYLE.split("prefers-color-scheme: dark", 1)
    own = colours(light) | (colours(dark.split("@media", 1)[0]) if mode == "dark" else {})
    assert len(own) == 18
    for text in ("fg", "muted", "accent", "high", "medium", "low", "ok"):
        for ground in ("bg", "panel", "shade"):
            assert contrast(own[text], own[ground]) >= 4.5, (mode, text, ground)
    assert contrast(own["chip-fg"], own["chip"]) >= 4.5
    assert contrast(own["bg"], own["accent"]) >= 4.5
    for shape in ("area", "red", "amber"):  # beside the number that it draws
        assert contrast(own[shape], own["bg"]) >= 2, (mode, shape)


def test_the_style_asks_for_nothing_from_elsewhere() -> None:
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert style()[1].startswith("sha256-")


def test_no_template_has_style_or_script_of_its_own() -> None:
    for path in (Path(pages.__file__).parent / "templates").iterdir():
        text = path.read_text()
        assert not re.search(r"\bstyle=|\bon[a-z]+=|javascript:", text), path
        assert "|safe" not in text.replace(" ", ""), path
