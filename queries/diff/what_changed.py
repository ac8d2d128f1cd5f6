"""What changed? The last hour against the one before, or any window against any other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queries.core.answer import DEFAULT_FINDINGS, Changes, Note
from queries.core.question import CURSOR, WHERE, Argument, Question, limit_of
from queries.core.selection import selection
from queries.core.window import Baseline, Window
from queries.diff.calibrate import known
from queries.diff.compare import compared
from store.errors import UsageError

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store

_ALL = 1_000_000


def what_changed(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Expr | None = None,
    limit: int = DEFAULT_FINDINGS,
    explain: str | None = None,
) -> Changes:
    """Compare `window` with `baseline` over everything that the store's recorders saw.

    where: a parsed filter; only transactions that pass it are compared. limit: findings kept,
    the rest is counted in `more`. explain: the id or the rank of the one finding that is wanted.
    `calibration` is there where it is known, or cheap to know. Raises UsageError for a bad filter
    and for a finding that is not there; gaps, unreadable files and differing filters are notes.
    """
    changes = compared(store, window, baseline, where, _ALL if explain else limit)
    if where is not None and not changes.window.requests + changes.baseline.requests:
        with selection(store, window, where) as chosen:
            changes = replace(changes, notes=(*changes.notes, *chosen.unmatched()))
    if changes.verdict not in ("changed", "nothing_changed"):
        return _only(changes, explain) if explain else changes
    usual, waiting = known(store, window, baseline, where)
    if usual is None and waiting:
        note = Note("calibrate", _UNCOUNTED.format(waiting))
        changes = replace(changes, notes=(*changes.notes, note))
    changes = replace(changes, calibration=usual)
    return _only(changes, explain) if explain else changes


def _only(changes: Changes, wanted: str) -> Changes:
    """The answer with one finding of all; the others are in `more`."""
    chosen = [f for f in changes.findings if wanted.strip() in (f.id, str(f.rank))]
    if not chosen:
        there = len(changes.findings)
        raise UsageError(
            f"there is no finding {wanted[:40]}",
            f"There are {there}, by rank from 1 on or by id." if there else
            "Nothing changed beyond chance, or there was too little to compare.",
        )  # fmt: skip
    return replace(changes, findings=tuple(chosen[:1]), more=len(changes.findings) - 1)


_UNCOUNTED = (
    "how many findings are usual here is not counted yet ({} past pairs): `qrec calibrate` with "
    "the same options, or the tool get_calibration, counts once and keeps it"
)
_EXPLAIN = Argument("explain", "All about one finding: its rank, or its id out of a list.", "N", 40)
WHAT_CHANGED = Question(
    name="diff",
    tool="what_changed",
    title="What changed",
    summary="what changed in the last hour?",
    group="incident",
    function=what_changed,
    answer=Changes,
    rows="findings",
    arguments=(WHERE, limit_of(DEFAULT_FINDINGS), _EXPLAIN, CURSOR),
    baseline=True,
    core=True,
    help="""
    \b
    Examples:
      qrec diff
      qrec diff --last 15m --vs yesterday
      qrec diff --from 14:00 --to 15:00 --vs 7d
      qrec diff --around "deploy 1234" --explain 1
      qrec diff --where 'container.name == "shop"' --exit-code
    """,
    guide="""
    Start here when something is wrong, or to check that nothing is.

    Compares a window (default: the last hour) with a baseline (default: the hour before) over
    every recorded HTTP transaction: a short list of findings, ranked by what matters to someone on
    call; symptoms of one cause are folded into one (`also`). "nothing_changed" is an answer: say
    it together with `sensitivity`, the smallest change that would have shown, and look further
    where a smaller one matters. "no_data" means that nobody was recording, which is not quiet.

    Read `verdict`, `notes` (gaps, filters), then the findings; do not stop at rank 1, since
    unrelated changes may coincide. `calibration`: how many findings past hours gave. Next:
    explain=ID with the same window for all about one; get_transaction on its example;
    get_endpoints with a `where` on its host; get_coverage when notes speak of gaps; vs="7d" to
    see whether this hour is like this every day.
    """,
)
