"""Redaction: what recorded traffic must not carry to a disk. docs/redaction.md tells it all."""

from __future__ import annotations

from recorder.redact.config import BODY_LIMIT, ExtraRule, RedactConfig, load_key
from recorder.redact.redactor import Redactor

__all__ = ["BODY_LIMIT", "ExtraRule", "RedactConfig", "Redactor", "load_key"]
