"""Redaction: what recorded traffic must not carry to a disk. docs/redaction.md tells it all."""

from __future__ import annotations

from recorder.redact.config import ExtraRule, RedactConfig
from recorder.redact.fingerprint import load_key
from recorder.redact.redactor import Redactor

__all__ = ["ExtraRule", "RedactConfig", "Redactor", "load_key"]
