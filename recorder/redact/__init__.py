"""Redaction: what recorded traffic must not carry to a disk. docs/redaction.md tells it all."""

from __future__ import annotations

from recorder.redact.bodies import BODY_LIMIT
from recorder.redact.config import ExtraRule, RedactConfig
from recorder.redact.redactor import Redactor
from recorder.redact.replace import load_key

__all__ = ["BODY_LIMIT", "ExtraRule", "RedactConfig", "Redactor", "load_key"]
