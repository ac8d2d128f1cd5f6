"""The command line as a person meets it: answers on stdout, words on stderr, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import stream_path
from qrec.cli import COMMANDS, GROUPS, OTHERS, command
from queries.core.question import question_names, questions_of, summaries
from store.errors import QrecError, TimedOutError, UnavailableError, UsageError
from tests.contract.stored import NOW, build, minute, row
from tests.kit import Cli


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = [row(minute(number), status=500 if number % 10 == 0 else 200) for number in range(60)]
    rows += [row(minute(5), host="evil\x1b[2J.example", container_name=None, process_exe=None)]
    build(tmp_path / "store", rows)
    return tmp_path / "store"


@pytest.fixture
def run(store: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """qrec with this store, at the end of its last hour."""
    monkeypatch.setenv("QREC_NOW", NOW.isoformat())
    return cli


@pytest.mark.parametrize("argv", [(), ("-h",), ("--help",), ("help",)])
def test_the_help_is_one_screen_with_every_command(run: Cli, argv: tuple[str, ...]) -> None:
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    listed = {name for line in lines if line.startswith("  ")
              for name in (line[2:15].strip(), line[42:55].strip())}  # fmt: skip
    assert set(COMMANDS) <= listed
    assert [line.split()[0] for line in lines if line.startswith("  ")][:3] == [
        "demo", "record", "diff",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says(name: str) -> None:
    assert command(name).name == name


def test_summaries_are_those_that_the_questions_declare_and_fit_two_to_a_line() -> None:
    declared = {one.name: one.summary for name in question_names() for one in questions_of(name)}
    assert summaries() == declared
    first, *_ = GROUPS.values()
    own = {name: text for name, text in OTHERS.items() if name not in first}
    assert max(map(len, {**declared, **own, "diff": ""}.values())) <= 25


def test_a_folder_of_a_streams_name_does_not_hide_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quiet").mkdir()
    (tmp_path / "hostile").write_text("")
    assert stream_path("quiet").name == "quiet.sse.gz"
    assert stream_path("hostile") == Path("hostile")
    assert stream_path("./quiet") == Path("quiet")
    with pytest.raises(UsageError, match="no stream named 'quite'"):
        stream_path("quite")


def test_help_of_a_command_by_the_word_help(run: Cli) -> None:
    assert run("help", "diff") == run("diff", "--help")


@pytest.mark.parametrize("command", ["diff", "hosts", "record", "replay", "serve", "mark"])
def test_each_help_fits_and_shows_an_example(run: Cli, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "Example" in out
    assert f"\n    qrec {command}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_version(run: Cli) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("qrec 0.")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hots"], "Did you mean 'hosts'"),
        (["nonsense"], "`qrec --help` lists"),
        (["--verison"], "--version"),
        (["hosts", "--lats", "1h"], "--last"),
        (["hosts", "--limit", "many"], "'--limit'"),
        (["hosts", "--limit"], "`qrec hosts --help` lists"),
        (["hosts", "--limit", "0"], "between 1 and"),
        (["hosts", "extra"], "extra"),
        (["hosts", "--last", "1q"], "90s, 15m"),
        (["hosts", "--from", "13:00", "--to", "12:00"], "Swap --from and --to"),
        (["hosts", "--format", "jsn"], "Did you mean 'json'"),
        (["hosts", "--format", "csv", "--json"], "Keep one"),
        (["hosts", "--timezone", "Mars/Base"], "time zone"),
        (["hosts", "--color", "blue"], "auto, always, never"),
        (["hosts", "--where", "res.statu == 1"], "res.status"),
        (["endpoints", "--sort", "size"], "requests, errors, p95"),
        (["mark"], "NAME"),
        (["diff", "--vs", "yesteday"], "Did you mean 'yesterday'"),
        (["serve", "nothing-like-it"], "nothing-like-it"),
        (["serve", "quiet", "--speed", "warp"], "--speed"),
        (["demo", "--store", "store"], "store is not empty"),
        (["replay", "quiet", "--shift-to", "whenever"], "is not a time"),
        (["hosts", "--status", "500"], "--where 'res.status == …'"),
        (["record", "--url", "http://10.0.0.7:10001"], "without its name: qrec record URL"),
        (["record", "--container-name", "a"], "--filter 'container.name == …'"),
    ],
)
def test_usage_errors_exit_2_and_say_what_to_write(run: Cli, argv: list[str], said: str) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("qrec: ")
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6


def test_a_missing_store_exits_3_and_says_how_to_get_one(run: Cli, tmp_path: Path) -> None:
    code, out, err = run("hosts", "--store", str(tmp_path / "nowhere"))
    assert (code, out) == (3, "")
    assert "qrec record" in err


def test_a_newer_store_is_refused(run: Cli, store: Path) -> None:
    (store / "store.json").write_text('{"format": 99}')
    code, _, err = run("hosts")
    assert code == 3
    assert "pip install --upgrade qrec" in err


def test_a_bad_config_file_exits_2_and_names_it(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "qrec.toml").write_text('stroe = "x"')
    code, _, err = run("hosts")
    assert code == 2
    assert "qrec.toml" in err
    assert "Did you mean 'store'" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QrecError("it broke", "Mend it."), 1),
        (UsageError("it broke", "Mend it."), 2),
        (UnavailableError("it broke", "Mend it."), 3),
        (TimedOutError("it broke", "Mend it."), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("Query interrupted"), 130),
    ],
)
def test_exit_codes(
    run: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    _break_hosts(monkeypatch, error)
    got, _, err = run("hosts")
    assert got == code
    assert err in ("", "qrec: it broke\n  Mend it.\n")


def test_a_bug_is_one_line_and_exits_70(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _break_hosts(monkeypatch, KeyError("x"))
    code, _, err = run("hosts")
    assert code == 70
    assert err.startswith("qrec: KeyError: 'x' (this is a bug in qrec)\n")
    assert "Traceback" not in err
    monkeypatch.setenv("QREC_DEBUG", "1")
    assert "Traceback" in run("hosts")[2]


def _break_hosts(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("store.layout.Store.open", broken)


def test_a_window_without_data_is_an_answer_that_says_so(run: Cli) -> None:
    code, out, err = run("hosts", "--now", "2026-11-20T00:00Z")
    assert code == 0
    assert "0 requests" in out
    assert "no recorder was receiving" in err
    assert "2026-11-22T14:00:00Z" in err


def test_truncation_is_announced_with_the_flag_that_lifts_it(run: Cli) -> None:
    code, out, err = run("hosts", "--limit", "1")
    assert code == 0
    assert "api.example.com" in out
    assert "evil" not in out
    assert "--limit 100" in err


def test_recorded_escapes_do_not_act(run: Cli) -> None:
    for format_ in ("table", "json", "jsonl", "csv", "md"):
        _, out, _ = run("hosts", "--format", format_)
        assert "\x1b" not in out
        assert "evil" in out


def test_formats_hold_the_same_rows(run: Cli) -> None:
    document = json.loads(run("hosts", "--json")[1])
    lines = [json.loads(line) for line in run("hosts", "--format", "jsonl")[1].splitlines()]
    assert document["hosts"] == lines
    assert len(run("hosts", "--format", "csv")[1].splitlines()) == 3
    assert len(run("hosts", "--format", "md")[1].splitlines()) == 4


def test_colour_only_when_asked_for(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run("hosts")[1]
    assert "\x1b[1m" in run("hosts", "--color", "always")[1]
    assert "\x1b[" not in run("hosts", "--color", "always", "--json")[1]


def test_marks_are_set_listed_and_meant(run: Cli) -> None:
    code, out, err = run("mark", "deploy 1", "--at", "13:30")
    assert (code, out) == (0, "")
    assert "2026-11-22 13:30:00 UTC" in err
    assert json.loads(run("marks", "--json")[1])["marks"] == [
        {"name": "deploy 1", "ts": "2026-11-22T13:30:00Z"}
    ]
    window = json.loads(run("hosts", "--since", "deploy 1", "--json")[1])["window"]
    assert window["from"] == "2026-11-22T13:30:00Z"
    code, _, err = run("hosts", "--since", "deploy 2")
    assert code == 2
    assert "Did you mean 'deploy 1'" in err


def test_info_says_where_each_value_came_from(run: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "qrec.toml").write_text("limit = 7\n[redact]\nbody_limit = 10\n")
    document = json.loads(run("info", "--json")[1])
    origins = {s["name"]: s["origin"] for s in document["settings"]}
    assert origins["store"] == "QREC_STORE"
    assert origins["limit"] == str(tmp_path / "qrec.toml")
    assert origins["redact"] == str(tmp_path / "qrec.toml")
    assert origins["push"] == "default"
    assert document["paths"]["store"] == str(store)
    table = next(t for t in document["store"]["tables"] if t["name"] == "transactions")
    assert (table["rows"], table["hours"]) == (61, 1)
    code, out, _ = run("info")
    assert code == 0
    assert "QREC_STORE" in out


def test_info_finds_what_would_stop_a_recorder(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "qrec.toml").write_text("[redact]\nbody_limt = 10\n")
    code, _, err = run("info")
    assert code == 2
    assert "redact.body_limt" in err


def test_info_answers_without_a_store_and_hides_passwords(
    run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QREC_STORE", "/nowhere/at/all")
    monkeypatch.setenv("QREC_URL", "http://user:secret@host:1")
    code, out, _ = run("info")
    assert code == 0
    assert "no qrec store" in out
    assert "secret" not in out


def qrec(store: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line with $QREC as the program."""
    environ = {
        **os.environ, "QREC_STORE": str(store), "QREC_NOW": NOW.isoformat(),
        "QREC": f"{sys.executable} -m qrec", "PYTHONUNBUFFERED": "",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("set -o pipefail; $QREC hosts --json | head -c 1 > /dev/null", 0, ""),
        ("$QREC hosts >&-", 0, ""),
        ("$QREC hosts > /dev/full", 1, "cannot write the answer"),
        ("$QREC hosts --limit 1 2> /dev/full", 0, ""),
        ("$QREC hosts --limit 1 2>&-", 0, ""),
        ("PYTHONIOENCODING=ascii $QREC diff --help > /dev/null", 0, ""),
    ],
)
def test_an_output_that_goes_away_is_no_crash(
    store: Path, command: str, code: int, err: str
) -> None:
    done = qrec(store, command)
    assert done.returncode == code, done.stderr
    assert err in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_help_and_diff_start_without_what_they_do_not_use(store: Path) -> None:
    code = (
        "import sys; from qrec.__main__ import main; main({argv!r}); "
        "heavy = 'mcp httpx rich pydantic starlette asyncio pyarrow recorder fixtures'.split(); "
        "heavy += ['duckdb', 'filters', 'numpy.ma'] + ['numpy'] * ({argv!r} != ['diff']); "
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    for argv in (["--help"], ["hosts"], ["diff"]):
        done = subprocess.run(
            [sys.executable, "-c", code.format(argv=argv)], capture_output=True, text=True,
            timeout=60, env={**os.environ, "QREC_STORE": str(store), "QREC_NOW": NOW.isoformat()},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == "[]", argv


_MISSING = """import importlib
loaded = importlib.import_module
def import_module(name):
    if name == "_duckdb":
        raise ImportError(name)
    return loaded(name)
importlib.import_module = import_module
"""


@pytest.mark.parametrize("other", ["import _duckdb; _duckdb.__version__ = '2.9.0'\n", _MISSING])
def test_a_duckdb_that_was_not_tried_without_its_python_is_loaded_whole(
    store: Path, other: str
) -> None:
    code = (
        f"{other}import sys; "
        "from qrec.__main__ import main; main(['hosts', '--json']); "
        "print('duckdb' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, "QREC_STORE": str(store), "QREC_NOW": NOW.isoformat()},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "True"
    assert json.loads(done.stdout)["hosts"]
