"""The question of the product: what changed between a window and its baseline?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queries.answer import Changes, Note
from queries.calibrate import known
from queries.comparison import compared
from queries.windows import Baseline, Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

DEFAULT_LIMIT = 10


def what_changed(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Changes:
    """Compare `window` with `baseline` over everything that the store's recorders saw.

    where: a parsed filter; only transactions that pass it are compared. limit: findings kept,
    the rest is counted in `more`. `calibration` is there where it is known, or cheap to know.
    Raises UsageError for a bad filter; gaps, unreadable files and differing filters are notes.
    """
    changes = compared(store, window, baseline, where, limit)
    if changes.verdict not in ("changed", "nothing_changed"):
        return changes
    usual, waiting = known(store, window, baseline, where)
    if usual is None and waiting:
        changes = replace(changes, notes=(*changes.notes, _uncounted(waiting)))
    return replace(changes, calibration=usual)


def _uncounted(pairs: int) -> Note:
    text = (
        f"how many findings are usual here is not counted yet ({pairs} past pairs): `qrec "
        "calibrate`, the tool get_calibration, counts once and keeps it"
    )
    return Note("calibrate", text)
