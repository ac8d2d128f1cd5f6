"""Qtap's filter language (rulekit): parsed once, used live, pushed to Qtap, and as SQL.

Importing this package is cheap; RE2 and the public suffix list come when first needed.
"""

from __future__ import annotations

from filters.fields import FIELDS, FieldSpec, Row, check
from filters.nodes import Expr, FilterError, equalities
from filters.parser import parse
from filters.predicate import decision, is_of_recorders, predicate, takes_of
from filters.push import pushable
from filters.remarks import remarks
from filters.sql import Sql, prepare, to_sql

__all__ = [
    "FIELDS",
    "Expr",
    "FieldSpec",
    "FilterError",
    "Row",
    "Sql",
    "check",
    "decision",
    "equalities",
    "is_of_recorders",
    "parse",
    "predicate",
    "prepare",
    "pushable",
    "remarks",
    "takes_of",
    "to_sql",
]
