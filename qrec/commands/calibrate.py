"""`qrec calibrate`: how many findings the same comparison gives in the store's own past."""

from __future__ import annotations

from qrec.format import number, plural, stretch
from qrec.options import BaselineFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Answer, Column, present
from qrec.progress import Line
from qrec.run import Run
from queries.core.answer import document
from queries.core.question import parsed
from queries.diff.calibrate import CALIBRATE, Calibrated, calibration


def calibrate(
    *,
    window: WindowFlags,
    baseline: BaselineFlags,
    only: WhereFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> None:
    run = Run(store, rows)
    asked, against = run.windows(window, baseline)
    line = Line()
    try:
        answer = calibration(
            run.store, asked, against, where=parsed(only.where), limit=run.limit,
            tell=lambda done, pairs: line.show(f"comparing past hours: {done} of {pairs}"),
        )  # fmt: skip
    finally:
        line.clear()
    columns = [Column("window"), Column("against"), Column("findings", right=True)]
    cells = [
        [
            stretch(pair.window.from_ts, pair.window.to_ts, run.tz),
            stretch(pair.baseline.from_ts, pair.baseline.to_ts, run.tz, pair.window.from_ts),
            number(pair.findings),
        ]
        for pair in answer.pairs
    ]
    shown = Answer(document(answer), "pairs", columns, cells, _heading(answer), empty="")
    present(run, shown)


calibrate.__doc__ = CALIBRATE.help  # which the tool and the page have, too


def _heading(answer: Calibrated) -> str:
    usual = answer.calibration
    if usual is None:
        return "too few past hours to say how many findings are usual"
    return (
        f"usual here: median {usual.median:g}, 95 % at most {usual.p95:g} findings, "
        f"in {plural(usual.pairs, 'past pair')}"
    )
