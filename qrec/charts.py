"""Numbers over time in one line of characters: eight heights, or ASCII where there is no UTF-8."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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
