"""How many findings past comparisons gave, kept beside the recordings: `<store>/calibration.json`.

Nothing depends on the file: what is not in it, or cannot be read, is compared again. Entries are
found by a key that holds all that a result depends on, so an entry is right or never found.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from store.files import write_text
from store.layout import Store

_MOST = 2000  # entries, those of the newest comparisons; about 100 bytes each
_FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """The result of one comparison: when its window ended (ISO 8601, UTC), and its findings.

    findings: None where the two sides could not be compared.
    """

    to: str
    findings: int | None


def read_kept(store: Store) -> dict[str, Kept]:
    """All results by their key; none where there is no file, or one that makes no sense."""
    try:
        document = json.loads(store.calibration.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            return {}
        return {str(key): _kept(entry) for key, entry in document["pairs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(store: Store, found: Mapping[str, Kept]) -> None:
    """Add results to the file. A store that cannot be written to does without."""
    entries = {**read_kept(store), **found}
    newest = sorted(entries.items(), key=lambda item: (item[1].to, item[0]), reverse=True)[:_MOST]
    pairs = {key: {"to": kept.to, "findings": kept.findings} for key, kept in newest}
    with contextlib.suppress(OSError):
        write_text(store.calibration, json.dumps({"format": _FORMAT, "pairs": pairs}) + "\n")


def _kept(entry: Mapping[str, object]) -> Kept:
    findings = entry["findings"]
    if findings is not None and (type(findings) is not int or findings < 0):
        raise ValueError("findings are a number or nothing")
    return Kept(str(entry["to"]), findings)
