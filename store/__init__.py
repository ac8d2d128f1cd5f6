"""What is on disk, and nothing else: schema, paths, segment cover, coverage, marks."""

from store.layout import Store

__all__ = ["Store"]
