"""The outermost layer: the only place that turns an error into words and an exit code."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence

# numpy's BLAS, which nothing here uses, would start a thread a core: 0.1 s of processor time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

OK, FAILED, USAGE, BUG, INTERRUPTED = 0, 1, 2, 70, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code as the README lists them. Never raises, never a traceback
    unless QREC_DEBUG is set."""
    if argv is None and sys.argv[1:2] == ["record"]:
        sys.modules["numpy"] = None  # type: ignore[assignment]  # Arrow alone loads it there: 6 MB
    code = _outcome(argv)
    _write_what_is_left()
    if argv is None:
        # Nothing is open by now. To take the interpreter apart takes 30 ms, and would meet a seal
        # that a thread is at in the middle of Arrow or DuckDB; it may be cut short at any point.
        os._exit(code)
    return code


def _outcome(argv: Sequence[str] | None) -> int:
    try:
        from qrec.output import ReaderGone
        from store.errors import QrecError
    except ImportError as error:
        print(f"qrec: this installation is not whole: {error}", file=sys.stderr)
        print("  Install it anew: pip install --force-reinstall qrec", file=sys.stderr)
        return FAILED
    _tolerant_streams()
    _quiet_libraries()
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except QrecError as error:
        _explain(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except ReaderGone:
        return OK
    except Exception as error:
        if str(error) == "Query interrupted":  # how DuckDB tells of a Ctrl-C
            return INTERRUPTED
        return _bug(error)


def _run(argv: list[str]) -> int:
    from qrec.questions import answered

    if (exit_code := answered(argv)) is not None:
        return exit_code
    from qrec.cli import command_line

    try:
        code = command_line().main(args=argv, prog_name="qrec", standalone_mode=False)
    except Exception as error:
        # Typer's usage errors, by shape: its vendored click is not ours to import.
        text = getattr(error, "format_message", None)
        if text is None or not hasattr(error, "exit_code"):
            raise
        _explain(*_usage(text(), getattr(error, "ctx", None), argv))
        return USAGE
    return code if isinstance(code, int) else OK


def _usage(text: str, ctx: object, argv: list[str]) -> tuple[str, str]:
    from filters.fields import known_as

    path = getattr(ctx, "command_path", f"qrec {argv[0]}")  # an option without a value has none
    message, _, suggestion = text.partition(" Did you mean")
    hint = f"`{path} --help` lists what there is."
    if suggestion:
        hint = f"Did you mean{suggestion} {hint}"
    found = re.match(r"No such option: --([\w-]+)", text)
    wanted = found[1].replace("-", "_") if found else ""
    taken = [one.name for one in getattr(getattr(ctx, "command", None), "params", ())]
    if wanted in taken:  # and yet no option: an argument
        hint = f"It is written without its name: {path} {wanted.upper()}. {hint}"
    elif field := known_as(wanted):
        for option in {"where", "filter"}.intersection(taken):
            hint = f"A filter chooses by it: --{option} '{field} == …'. {hint}"
    return message[:1].lower() + message[1:].rstrip("."), hint


def _explain(message: str, hint: str) -> None:
    from queries.core.escape import visible

    # A filter's mistake is shown over three lines, with a caret: its line breaks stay.
    lines = [visible(line) for line in f"{message}\n{hint}".rstrip("\n").split("\n")]
    with contextlib.suppress(OSError):  # where nobody listens, the exit code still tells
        print("qrec: " + "\n  ".join(lines), file=sys.stderr, flush=True)


def _bug(error: Exception) -> int:
    if os.environ.get("QREC_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    said = " ".join(str(error).split())[:200]
    _explain(
        f"{type(error).__name__}: {said} (this is a bug in qrec)",
        "QREC_DEBUG=1 shows where; please report it with that and the command you ran.",
    )
    return BUG


def _tolerant_streams() -> None:
    """A character that the terminal's encoding lacks becomes an escape, not a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _quiet_libraries() -> None:
    """A library's advice to its programmers is nothing for the users of a program."""
    if not sys.warnoptions and os.environ.get("QREC_DEBUG") != "1":
        import warnings

        warnings.simplefilter("ignore")


def _write_what_is_left() -> None:
    """What cannot be written (a pipe that closed, a disk that is full) has been told of."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            if stream is not None and not stream.closed:
                stream.flush()


if __name__ == "__main__":
    sys.exit(main())
