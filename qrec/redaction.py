"""What a recording redacts: the `[redact]` table, the flags, and the consent that --no-redact asks.

Recording without redaction has to be said twice, on the command line: a file that somebody copies
must not be enough to turn a store into a heap of credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from qrec.settings import Settings
    from recorder.redact import RedactConfig

UNREDACTED = (
    "nothing is redacted: passwords, tokens and personal data go to the disk as they are, and "
    "the store is marked for it"
)


def redact_config(settings: Settings, flags: Mapping[str, Any]) -> RedactConfig:
    """The configuration. `flags`: no_redact, i_know, body_limit as given. Raises UsageError."""
    from qrec.settings import parse_size
    from recorder.redact import RedactConfig

    table = settings.redact()
    config = RedactConfig.from_mapping(table.value)
    if flags.get("body_limit") is not None:
        config = replace(config, body_limit=parse_size(flags["body_limit"]))
    if flags.get("no_redact"):
        config = replace(config, enabled=False)
    if not config.enabled and not flags.get("i_know"):
        who = "--no-redact" if flags.get("no_redact") else f"{table.origin}: redact.enabled = false"
        raise UsageError(
            f"{who} would keep every password and token of the traffic on the disk",
            "Leave it out, or add --i-know; the store is then marked as unredacted.",
        )
    bodies = settings.get("store_bodies")
    if bodies.origin != "default":  # said nearer than in the table, where it may stand as well
        config = replace(config, store_bodies=str(bodies.value))
    return config
