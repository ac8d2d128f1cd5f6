"""`qrec service`: the file is exactly what was asked for, and nothing happens by surprise."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qrec.commands.service import quoted, unit_text
from tests.kit import Cli


@pytest.fixture
def run(isolated: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`qrec service` on a Linux without systemctl, with a home and default folders of its own."""
    monkeypatch.delenv("QREC_STORE")
    for name, folder in (("HOME", ""), ("XDG_CONFIG_HOME", ".config"), ("XDG_DATA_HOME", "data")):
        (isolated / "home" / folder).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv(name, str(isolated / "home" / folder).rstrip("/"))
    (isolated / "bin").mkdir()
    monkeypatch.setenv("PATH", str(isolated / "bin"))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("sys.argv", ["qrec"])
    return lambda *words: cli("service", *words)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    return tmp_path / "home/.config/systemd/user/qrec.service"


def tool(tmp_path: Path, name: str, script: str = "") -> Callable[[], list[str]]:
    """A stand-in for systemctl; returns what it was called with."""
    log = tmp_path / "calls"
    path = tmp_path / "bin" / name
    path.write_text(f'#!/bin/sh\necho "$*" >> {log}\n{script}\n')
    path.chmod(0o755)
    return lambda: log.read_text().splitlines() if log.exists() else []


def command_of(text: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart=").replace("%%", "%").replace("$$", "$"))


def test_the_file_has_the_options_as_given(run: Cli, unit: Path, tmp_path: Path) -> None:
    asked = ["--filter", 'req.host == "a b$c%d"', "--keep", "14d", "--metrics", "9464"]
    code, out, err = run("install", *asked, "--store", "recordings", "--dry-run")
    assert code == 0
    assert command_of(out) == [
        sys.executable, "-P", "-m", "qrec", "record", *asked, "--wait",
        "--store", str(tmp_path / "recordings"),
    ]  # fmt: skip
    assert f"would be written to {unit}" in err
    assert not unit.exists()


def test_a_script_is_started_as_itself(
    run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "home" / "qrec"
    script.write_text("")
    monkeypatch.setattr("sys.argv", [str(script)])
    assert command_of(run("install", "--dry-run")[1])[:2] == [str(script), "record"]


def test_wait_is_said_once(run: Cli) -> None:
    assert run("install", "--wait", "--dry-run")[1].count("--wait") == 1


def test_without_systemctl_the_file_is_there_and_the_rest_is_said(run: Cli, unit: Path) -> None:
    code, out, err = run("install", "--keep", "14d")
    assert (code, out) == (0, "")
    assert f"wrote {unit}" in err
    assert "no systemctl here" in err
    assert "systemctl --user daemon-reload" in err
    assert unit.stat().st_mode & 0o777 == 0o600
    code, out, err = run("status")
    assert code == 3
    assert "qrec is unknown" in out
    assert run("uninstall")[0] == 0
    assert not unit.exists()


def test_with_systemctl_it_is_started_and_stopped(run: Cli, unit: Path, tmp_path: Path) -> None:
    calls = tool(tmp_path, "systemctl", "[ $2 = is-active ] && echo active; exit 0")
    code, _, err = run("install")
    assert code == 0
    assert calls() == [
        "--user daemon-reload", "--user enable qrec.service", "--user restart qrec.service",
    ]  # fmt: skip
    assert "ran: systemctl --user enable qrec.service" in err
    assert "journalctl --user -u qrec.service" in err
    code, out, _ = run("status", "--json")
    assert code == 0
    document = json.loads(out)
    assert (document["installed"], document["state"]) == (True, "active")
    assert document["file"] == unit.read_text()
    code, _, err = run("uninstall")
    assert code == 0
    assert calls()[-2:] == ["--user disable --now qrec.service", "--user daemon-reload"]
    assert "the recordings stay" in err


def test_nothing_is_started_when_asked_not_to(run: Cli, unit: Path, tmp_path: Path) -> None:
    calls = tool(tmp_path, "systemctl")
    assert run("install", "--no-start")[0] == 0
    assert unit.exists()
    assert calls() == []


def test_a_manager_that_refuses_is_quoted(run: Cli, unit: Path, tmp_path: Path) -> None:
    tool(tmp_path, "systemctl", "echo Failed to connect to bus: No medium found >&2; exit 1")
    code, _, err = run("install")
    assert code == 1
    assert "`systemctl --user daemon-reload` failed" in err
    assert "No medium found" in err
    assert "no session" in err
    assert unit.exists()
    assert run("uninstall")[0] == 1
    assert unit.exists()
    assert run("uninstall", "--force")[0] == 0
    assert not unit.exists()


def test_a_different_file_is_not_written_over(run: Cli, unit: Path) -> None:
    assert run("install")[0] == 0
    code, _, err = run("install")
    assert code == 0
    assert "already as asked for" in err
    before = unit.read_text()
    code, _, err = run("install", "--keep", "3d")
    assert code == 2
    assert "--force" in err
    assert unit.read_text() == before
    assert run("install", "--keep", "3d", "--force")[0] == 0
    assert "--keep 3d" in unit.read_text()


def test_a_file_of_somebody_else_stays(run: Cli, unit: Path) -> None:
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    code, _, err = run("uninstall")
    assert code == 2
    assert "not written by qrec" in err
    assert unit.exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--keep", "14x"], "'14x' is not a duration"),
        (["--max-size", "20"], "not a size"),
        (["--filter", "res.statu == 1"], "res.status"),
        (["--push", "most"], "push cannot be"),
        (["--metrics", "nowhere"], "no address"),
        (["--no-redact"], "--i-know"),
        (["--duration", "1h"], "records for good"),
        (["--nonsense"], "--nonsense"),
        (["--run-as", "qrec"], "--system"),
        (["--name", "a b"], "cannot name a service"),
    ],
)
def test_what_the_service_would_stumble_over_is_said_now(
    run: Cli, unit: Path, argv: list[str], said: str
) -> None:
    code, out, err = run("install", *argv)
    assert (code, out) == (2, "")
    assert said in err
    assert not unit.exists()


def test_what_this_shell_has_and_the_service_will_not(
    run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QREC_RECORDER", "web")
    (tmp_path / "qrec.toml").write_text('flush_interval = "2s"\n')
    _, _, err = run("install", "--dry-run")
    assert "does not see recorder from QREC_RECORDER" in err
    assert f"does not see flush_interval from {tmp_path / 'qrec.toml'}" in err


def test_the_systems_own_unit(run: Cli) -> None:
    code, out, err = run(
        "install", "--system", "--run-as", "qrec", "--store", "/var/lib/qrec", "--dry-run"
    )
    assert code == 0
    assert "User=qrec\n" in out
    assert "WantedBy=multi-user.target" in out
    assert "/etc/systemd/system/qrec.service" in err


def test_nothing_is_installed_yet(run: Cli) -> None:
    code, out, _ = run("status")
    assert code == 3
    assert "no service" in out
    assert json.loads(run("status", "--json")[1])["installed"] is False
    assert run("uninstall")[0] == 2


def test_another_kind_of_machine(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    code, _, err = run("install")
    assert code == 2
    assert "qrec record --wait" in err


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--keep=14d", "--keep=14d"),
        ("a b", '"a b"'),
        ("", '""'),
        ('say "hi" \\ $HOME %h', '"say \\"hi\\" \\\\ $$HOME %%h"'),
        ("a\nb", '"a\\x0ab"'),
        ("100%", '"100%%"'),
        ("it's", '"it\'s"'),
        (";", '";"'),
    ],
)
def test_words_are_quoted_as_systemd_reads_them(word: str, expected: str) -> None:
    assert quoted(word) == expected


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "qrec.service"
    awkward = 'req.host == "a b$c%d"'
    path.write_text(unit_text(["/bin/true", "--filter", awkward], system=True, user="root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(path) not in done.stderr  # a warning names the file and the line
