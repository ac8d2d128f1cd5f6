"""What is drawn in text: graphs whose names cannot break out, charts that tell deaf from quiet."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from qrec.commands.dependencies import dot, mermaid
from qrec.output import chart, legend, squeezed, unicode_output
from queries.core.answer import Note, Side
from queries.core.format import (
    covered,
    endpoint_text,
    people,
    program,
    short_id,
    status_text,
)
from queries.dependencies import Edge
from tests.contract.stored import NOW


def edge(caller: str | None, callee: str, **columns: Any) -> Edge:
    plain: dict[str, Any] = {
        "caller_kind": "container", "callee_kind": "host", "place": "outside", "hosts": (),
        "requests": 10, "errors": 0, "error_share": 0.0, "p50_ms": 1.0, "p95_ms": 2.0,
        "first_seen": NOW, "last_seen": NOW,
    }  # fmt: skip
    return Edge(caller=caller, callee=callee, **{**plain, **columns})


EVIL = 'a"]; x -->|"<script>` \x1b[2J \\ } # & \u202e'
SOME = [
    edge(None, "web", callee_kind="container"),
    edge("web", "api.example.com", errors=1, error_share=0.1),
    edge("web", "redis", callee_kind="database"),
    edge(EVIL, EVIL),
]


def test_a_node_is_one_however_many_edges_it_has() -> None:
    assert dot(SOME).count('label="web"') == 1
    assert mermaid(SOME).count('"web"') == 1


def test_failing_edges_are_red() -> None:
    assert [line for line in dot(SOME).splitlines() if "=red" in line] == [
        '  n2 -> n3 [label="10, 10 % failed", color=red];'
    ]
    assert mermaid(SOME).splitlines()[-1] == "  linkStyle 1 stroke:red"


def test_recorded_names_stay_inside_their_quotes() -> None:
    for line in dot(SOME).splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) in (0, 2), line
    for line in mermaid(SOME).splitlines():
        assert line.count('"') in (0, 2), line
        label = line.partition('"')[2].rpartition('"')[0]
        assert not set("<>`[]{}|\\") & set(label.replace("\\x1b", "").replace("\\u202e", "")) - {
            "\\"
        }, line
    for text in (dot(SOME), mermaid(SOME)):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_no_edges_are_an_empty_graph() -> None:
    assert mermaid([]) == "flowchart LR\n"
    assert dot([]).startswith("digraph dependencies {")


def test_a_chart_tells_deaf_from_quiet() -> None:
    assert chart([0, 1, 4, None, 8], 8) == " ▂▅·█"
    assert chart([0, 1, 4, None, 8], 8, blocks=False) == " .=?#"
    assert chart([0, None], 0) == " ·"
    assert "nobody was recording" in legend()


def test_neighbours_share_a_character_and_their_peak_is_kept() -> None:
    assert squeezed([1, 2, 3], 3) == [1, 2, 3]
    assert squeezed([1, 9, 3, None, None, None], 3) == [9, 3, None]
    assert len(squeezed(list(range(61)), 30)) == 21


@pytest.mark.parametrize(
    ("encoding", "blocks"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False)]
)
def test_blocks_only_where_they_can_be_shown(
    encoding: str, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert unicode_output() is blocks


def test_phrases() -> None:
    assert [status_text(None), status_text(500), status_text(200, "14"), status_text(200, "0")] == [
        "none", "500", "200/14", "200",
    ]  # fmt: skip
    assert people(["a", "b"], 5) == "a, b +3"
    assert people([], 0) == "-"
    assert endpoint_text(None, "h", "/x") == "h /x"
    assert endpoint_text(None, None, None) == "-"
    assert [program("/usr/bin/curl"), program("shop"), program(None), program("a/")] == [
        "curl", "shop", "-", "a/",
    ]  # fmt: skip
    assert short_id("shop:20261122T1-ab:12") == "shop:12"


def test_nothing_is_covered_in_full_beside_a_note_of_a_gap() -> None:
    """59 min 54 s of an hour: the last flush of a recorder at work, or six seconds deaf."""
    hour = Side(NOW - timedelta(hours=1), NOW, 3594.0, 5, 0)
    gap = Note("gap", "recorder web saw nothing for 6 s", NOW - timedelta(minutes=30), NOW)
    earlier = Note("gap", "another", NOW - timedelta(hours=2), NOW - timedelta(hours=1))
    assert covered(hour, []) == covered(hour, [earlier]) == "covered in full"
    assert covered(hour, [gap]) == "covered 59 min 54 s of 1 h"
    others = replace(hour, covered_s=3600.0)
    assert covered(others, [gap]) == "not covered in full"
