"""From the scores of single trials to the figures that are published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Trial = dict[str, Any]
_CLEAR = 500  # requests affected, and effect x2: what the targets are about


def report(trials: Sequence[Trial], seconds: float) -> dict[str, Any]:
    incidents = [t for t in trials if t["sort"] in ("incident", "held_back", "real")]
    quiet = [t for t in trials if t["sort"] == "quiet"]
    gaps = [t for t in trials if t["sort"] == "gap"]
    clear = [t for t in incidents if t["affected"] >= _CLEAR and t["effect"] >= 2]
    return {
        "trials": len(trials),
        "seconds": round(seconds, 1),
        "incidents_clear": _by(clear, "history", _found),
        "incidents_all": _by(incidents, "history", _found),
        "by_kind": _by(clear, "kind", _found),
        "by_size": _by(clear, "size", _found),
        "recall": {
            f"{kind} x{severity:g}": _by(some, "size", lambda g: _share(t["rank"] for t in g))
            for (kind, severity), some in _groups(incidents, "kind", "severity")
        },
        "quiet": {
            history: _by(some, "size", _quiet) for (history,), some in _groups(quiet, "history")
        },
        "quiet_by_kind": {
            history: _by(some, "kind", _quiet) for (history,), some in _groups(quiet, "history")
        },
        "gaps": _by(gaps, "kind", _honest),
        "rivals": _rivals(clear, quiet),
        "cost": _cost(trials),
    }


def _groups(trials: Iterable[Trial], *names: str) -> list[tuple[tuple[Any, ...], list[Trial]]]:
    found: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        found.setdefault(tuple(trial[n] for n in names), []).append(trial)
    return sorted(found.items(), key=lambda item: str(item[0]))


def _by(trials: Sequence[Trial], name: str, figure: Callable[[list[Trial]], Any]) -> dict[str, Any]:
    return {str(key): figure(some) for (key,), some in _groups(trials, name)}


def _share(ranks: Iterable[int | None]) -> float:
    values = list(ranks)
    return round(sum(r is not None for r in values) / max(len(values), 1), 3)


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return round(float(np.mean(numbers)), 3) if numbers else None


def _found(trials: list[Trial]) -> dict[str, Any]:
    ranks = [t["rank"] or 99 for t in trials]
    late = [t["onset_error"] for t in trials if t.get("onset_error") is not None]
    return {
        "n": len(trials),
        "top1": _mean(r <= 1 for r in ranks),
        "top3": _mean(r <= 3 for r in ranks),
        "top5": _mean(r <= 5 for r in ranks),
        "precision5": _mean(t["precision5"] for t in trials if t["precision5"] is not None),
        "redundancy": _mean(t["about"] for t in trials if t["rank"]),
        "onset_2min": _mean(e <= 2 for e in late),
        "onset_median": round(float(np.median(late)), 1) if late else None,
        "blame": _mean(t["blamed"] for t in trials if t.get("blamed") is not None),
    }


def _quiet(trials: list[Trial]) -> dict[str, Any]:
    counts = [t["findings"] for t in trials]
    return {
        "n": len(counts),
        "mean": _mean(counts),
        "p95": float(np.percentile(counts, 95, method="higher")),
        "none": _mean(c == 0 for c in counts),
    }


def _honest(trials: list[Trial]) -> dict[str, Any]:
    refused = ("no_data", "not_comparable")
    return {
        "n": len(trials),
        "honest": _mean(t["fell"] == 0 and (t["named"] or t["verdict"] in refused) for t in trials),
        "findings": _mean(t["findings"] for t in trials),
    }


def _rivals(clear: list[Trial], quiet: list[Trial]) -> dict[str, Any]:
    names = sorted({n for t in [*clear, *quiet] for n in t.get("rivals", {})})
    keyed = [t for t in clear if t.get("rivals") and t["kind"] != "broad"]
    found: dict[str, Any] = {
        "qrec": _rival_row(
            [t["rank"] for t in keyed], [t["findings"] for t in quiet if t.get("rivals")]
        )
    }
    for name in names:
        found[name] = _rival_row(
            [t["rivals"][name]["rank"] for t in keyed],
            [t["rivals"][name]["rows"] for t in quiet if t.get("rivals")],
        )
    return found


def _rival_row(ranks: list[int | None], rows: list[int]) -> dict[str, Any]:
    places = [r or 99 for r in ranks]
    return {
        "top1": _mean(r <= 1 for r in places),
        "top5": _mean(r <= 5 for r in places),
        "rows_quiet": _mean(rows),
    }


def _cost(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        f"{size} {history}": {
            "seconds_median": round(float(np.median([t["seconds"] for t in some])), 3),
            "seconds_max": round(max(t["seconds"] for t in some), 3),
            "peak_mb": max(t["peak_mb"] for t in some),
        }
        for (size, history), some in _groups(trials, "size", "history")
    }


def table(figures: dict[str, Any]) -> str:
    lines = [f"{figures['trials']} trials in {figures['seconds']} s"]
    for name in (
        "incidents_clear",
        "incidents_all",
        "by_size",
        "by_kind",
        "gaps",
        "rivals",
        "cost",
    ):
        lines += ["", name.replace("_", " "), *_rows(figures[name])]
    for name in ("quiet", "quiet_by_kind"):
        for history, some in figures[name].items():
            lines += ["", f"{name.replace('_', ' ')}, history {history}", *_rows(some)]
    lines += ["", "recall by severity and size", *_rows(figures["recall"])]
    return "\n".join(lines)


def _rows(some: dict[str, Any]) -> list[str]:
    if not some:
        return ["  none"]
    columns = sorted({c for row in some.values() for c in row}, key=_place(some))
    head = "  " + " " * 24 + "".join(f"{c:>13}" for c in columns)
    body = [
        f"  {name[:24]:<24}" + "".join(f"{_cell(row.get(c)):>13}" for c in columns)
        for name, row in some.items()
    ]
    return [head, *body]


def _place(some: dict[str, Any]) -> Callable[[str], int]:
    order = list(next(iter(some.values())))
    return lambda column: order.index(column) if column in order else 99


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
