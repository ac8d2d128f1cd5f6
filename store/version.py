"""The one place that says which qrec this is; the build reads it, and every file carries it."""

__version__ = "0.1.0"
