"""What public tools do with the same two hours, for comparison: ranked rows without kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from queries.diff.frame import Frame

LEVELS = (
    ("host",),
    ("host", "method", "route"),
    ("host", "method", "route", "status"),
    ("container",),
)
Row = tuple[float, dict[str, Any]]


def _each(frame: Frame) -> Any:
    w, b = frame.window.sum(1), frame.baseline.sum(1)
    for dims in LEVELS:
        level = frame.level(dims)
        yield level, level.sum(w), level.sum(b)


def _rows(frame: Frame, score: Callable[[Any, Any], tuple[Any, Any]]) -> list[dict[str, Any]]:
    found: list[Row] = []
    for level, w, b in _each(frame):
        value, ok = score(w, b)
        for g in np.flatnonzero(ok):
            found.append((float(value[g]), dict(zip(level.dims, level.values[g], strict=True))))
    found.sort(key=lambda row: (-row[0], repr(row[1])))
    return [key for _, key in found]


def set_difference(frame: Frame) -> list[dict[str, Any]]:
    return _rows(frame, lambda w, b: (w + b, (w > 0) != (b > 0)))


def share_difference(frame: Frame) -> list[dict[str, Any]]:
    def score(w: Any, b: Any) -> tuple[Any, Any]:
        gap = np.abs(w / max(w.sum(), 1) - b / max(b.sum(), 1))
        return gap, gap >= 0.01

    return _rows(frame, score)


def g_test(frame: Frame) -> list[dict[str, Any]]:
    """Elastic's recipe: 5 % of both sides as a dead zone, p < 0.02, increases only."""

    def score(w: Any, b: Any) -> tuple[Any, Any]:
        total_w, total_b = max(w.sum(), 1.0), max(b.sum(), 1.0)
        o_w, o_b = w + 0.05 * w.sum() * b / total_b, b + 0.05 * b.sum() * w / total_w
        n_w, n_b = 1.05 * total_w, 1.05 * total_b
        pooled = (o_w + o_b) / (n_w + n_b)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = 2 * (
                np.nan_to_num(o_w * np.log(o_w / (n_w * pooled)))
                + np.nan_to_num(o_b * np.log(o_b / (n_b * pooled)))
            )
        return g, (g > 5.41) & (w / total_w > b / total_b)

    return _rows(frame, score)


def kl_unset(frame: Frame) -> list[dict[str, Any]]:
    def score(w: Any, b: Any) -> tuple[Any, Any]:
        p, q = (w + 0.5) / (w.sum() + 0.5 * w.size), (b + 0.5) / (b.sum() + 0.5 * b.size)
        part = p * np.log(p / q)
        return part, part >= 0.005

    return _rows(frame, score)


def risk_ratio(frame: Frame) -> list[dict[str, Any]]:
    def score(w: Any, b: Any) -> tuple[Any, Any]:
        share_w, share_b = (w + 0.5) / (w.sum() + 1), (b + 0.5) / (b.sum() + 1)
        folds = np.maximum(share_w / share_b, share_b / share_w)
        return folds, (folds >= 3) & (np.maximum(share_w, share_b) >= 0.001) & (w + b >= 10)

    return _rows(frame, score)


RIVALS = {f.__name__: f for f in (set_difference, share_difference, g_test, kl_unset, risk_ratio)}
