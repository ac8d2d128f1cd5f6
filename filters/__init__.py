"""Qtap's filter language (rulekit): parsed once, used live, pushed to Qtap, and as SQL.

Importing this package is cheap; lark, RE2 and the public suffix list come when first needed.
"""

from __future__ import annotations

from filters.errors import FilterError
from filters.nodes import Expr
from filters.parser import parse
from filters.predicate import predicate

__all__ = ["Expr", "FilterError", "parse", "predicate"]
