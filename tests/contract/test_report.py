"""`qrec report`: one file that is whole in itself, and says what the terminal says."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from tests.contract.site import ATTACKS, hostile, parsed
from tests.contract.stored import NOW, minute
from tests.contract.test_same_document import store
from tests.kit import Cli

assert store  # the fixture


def written(cli: Cli, store: Path, file: str, *words: str) -> str:
    flags = ("--store", str(store), "--now", NOW.isoformat())
    code, _, err = cli("report", "-o", file, *flags, *words)
    assert code == 0, err
    return Path(file).read_text(encoding="utf-8")


def findings(cli: Cli, store: Path) -> list[str]:
    code, out, _ = cli("diff", "--json", "--store", str(store), "--now", NOW.isoformat())
    assert code == 0
    return [one["id"] for one in json.loads(out)["findings"]]


def test_the_file_has_every_finding_and_needs_nothing_else(store: Path, cli: Cli) -> None:
    text = written(cli, store, "incident.html", "--note", "rolled back <b>at</b> 13:40")
    tree = parsed(text, "report")
    ids = findings(cli, store)
    assert ids
    for part in (*ids, "rolled back &lt;b&gt;at", "Examples of the window", "deploy", "Ask again",
                 'class="gap"', "Who calls whom", "qrec diff --from 2026-11-22T13:00"):  # fmt: skip
        assert part in text, part
    assert "<script" not in text
    assert not re.search(r"\bstyle=", text)
    own = {one.get("href") for one in tree.iter() if one.get("href")}
    assert own
    assert all(link.startswith("#finding-") for link in own)
    anchors = {f"#{one.get('id')}" for one in tree.iter() if one.get("id")}
    assert own <= anchors
    assert len(text.encode()) < 1_500_000


def test_its_style_is_allowed_by_its_hash_alone(store: Path, cli: Cli) -> None:
    text = written(cli, store, "incident.html")
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text.replace("&#39;", "'")


def test_as_markdown_it_is_text_for_a_ticket(store: Path, cli: Cli) -> None:
    text = written(cli, store, "incident.md", "--around", "deploy", "--last", "20m",
                   "--note", "see *this*\nand that")  # fmt: skip
    assert text.startswith("# What changed, 2026-11-22 13:20 to 13:40 UTC")
    assert "see \\*this\\*" in text
    assert "## 1. " in text
    assert "--vs-from 2026-11-22T13:00:00Z" in text
    assert "Examples: `web:s1:" in text
    assert "&#39;" not in text


def test_what_was_recorded_stays_text_in_both(tmp_path: Path, cli: Cli) -> None:
    made = hostile(tmp_path / "hostile")
    text = written(cli, made, "incident.html")
    tree = parsed(text, "report")
    for one in tree.iter():
        if isinstance(one.tag, str):
            name = one.tag.rpartition("}")[2]
            assert name not in ("script", "iframe", "img", "base", "link", "object", "a") or (
                name == "a" and one.get("href", "").startswith("#finding-")
            )
            assert not any(str(key).startswith("on") for key in one.attrib)
    plain = written(cli, made, "incident.md", "--note", ATTACKS[1])
    body = re.sub(r"`[^`]*`", "", re.sub(r"(?m)^    .*$", "", plain))
    assert "<" not in body.replace("\\<", "")


def test_quiet_says_so_with_what_would_have_shown(store: Path, cli: Cli) -> None:
    text = written(cli, store, "q.html", "--from", minute(-55).isoformat(), "--to",
                   minute(-40).isoformat(), "--vs-from", minute(-35).isoformat(),
                   "--vs-to", minute(-20).isoformat())  # fmt: skip
    assert "Nothing changed beyond chance" in text or "No data" in text


@pytest.mark.parametrize(("words", "code", "says"), [
    (("-o", "incident.pdf"), 2, "cannot be written as"),
    (("--format", "docx"), 2, "cannot be written as"),
    (("-o", "there.html"), 2, "is there already"),
    (("-o", "no/such/folder/x.html"), 1, "cannot write"),
    (("--note", "@missing.txt"), 1, "cannot read missing.txt"),
    (("--vs", "tomorrow"), 2, "names no baseline"),
])  # fmt: skip
def test_what_cannot_be_written_is_told(
    store: Path, cli: Cli, words: tuple[str, ...], code: int, says: str
) -> None:
    Path("there.html").write_text("mine")
    got, _, err = cli("report", "--store", str(store), "--now", NOW.isoformat(), *words)
    assert (got, says in err) == (code, True), err
    assert Path("there.html").read_text() == "mine"


def test_a_terminal_is_not_filled_with_a_page(
    store: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, out, err = cli("report", "--store", str(store), "--now", NOW.isoformat())
    assert (code, out) == (2, "")
    assert "--output" in err


def test_a_note_may_come_from_a_file_and_the_report_go_to_stdout(store: Path, cli: Cli) -> None:
    Path("note.txt").write_text("from a file\n")
    code, out, _ = cli("report", "--store", str(store), "--now", NOW.isoformat(), "--format", "md",
                       "--note", "@note.txt", "--note", "and another", "--limit", "1")  # fmt: skip
    assert code == 0
    assert "> from a file" in out
    assert "> and another" in out
    assert out.count("\n## ") == 1
