"""A compiled part that is missing, broken, of another version or panics costs no event."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import native
from recorder.native import FILE, NOT_BUILT, Native, Unusable, load, remarks
from recorder.native.build import build
from recorder.native.build import main as build_main
from recorder.options import RecordOptions
from recorder.pipeline import worker as worker_module
from recorder.pipeline.columnar import Clean
from recorder.pipeline.worker import Worker
from recorder.write.intake import Part
from tests.kit import frame, transaction
from tests.property.test_native import RANDOM, summary


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_SMALL", 0)


@pytest.fixture
def plain_block() -> bytes:
    return b"".join(frame(transaction(f"r{n}")) for n in range(5))


def ids(parts: list[Part]) -> list[str]:
    return [row["request_id"] for row in summary(parts)["rows"]]


def test_without_the_compiled_part_there_is_its_twin(tmp_path: Path, plain_block: bytes) -> None:
    part, note = load(tmp_path / FILE.name)
    assert (part, note) == (None, NOT_BUILT)
    assert remarks(tmp_path / FILE.name) == []
    assert ids(Worker(b"k" * 32, RecordOptions(store=Path()), part).process_block(plain_block)) == [
        f"r{n}" for n in range(5)
    ]


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(100)])
def test_a_broken_file_is_not_used(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / FILE.name
    file.write_bytes(content)
    part, note = load(file)
    assert part is None
    assert note.startswith(f"is not used: {FILE.name} cannot be loaded: ")


def test_another_version_is_not_used(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remarks(library) == ["the compiled part is used"]
    monkeypatch.setattr(native, "ABI", native.ABI + 1)
    part, note = load(library)
    assert part is None
    assert "another version" in note


def test_it_can_be_turned_off(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QREC_NATIVE", "off")
    assert load(library) == (None, "is off (QREC_NATIVE)")


@pytest.fixture(scope="module")
def panicking(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled part that panics over an event, and over a header, of that name."""
    source = tmp_path_factory.mktemp("panics")
    shutil.copytree(FILE.parent, source, dirs_exist_ok=True)
    code = (source / "src" / "batch.rs").read_text(encoding="utf-8")
    panic = '{ assert!(line.name != "panic", "hunter2"); '
    broken = re.sub(r"(fn event\(.*?) \{", rf"\1 {panic}", code)
    panic = 'assert!((0..names).all(|n| self.names.texts.get(n) != b"Panic"), "hunter2");'
    broken = broken.replace("let (flags, verdicts)", f"{panic} let (flags, verdicts)")
    assert broken.count("hunter2") == 2
    (source / "src" / "batch.rs").write_text(broken, encoding="utf-8")
    return build(source, source)


@pytest.mark.parametrize("panic", ["event", "header"])
def test_a_panic_costs_no_event(
    panicking: Path, capfd: pytest.CaptureFixture[str], panic: str
) -> None:
    worker = Worker(b"k" * 32, RecordOptions(store=Path()), Native(panicking))
    twin = Worker(b"k" * 32, RecordOptions(store=Path()))
    headers = {"Cookie": f"sid={RANDOM}"}
    blocks = [frame(transaction(f"r{n}", headers=headers)) for n in range(5)]
    bad = frame(transaction("bad", headers=headers | {"Panic": "1"}))
    block = b"".join([*blocks, b"event: panic\ndata: {}\n\n" if panic == "event" else bad])
    for _ in range(2):
        assert summary(worker.process_block(block)) == summary(twin.process_block(block))
    note = capfd.readouterr().err
    assert note.count("the compiled part is no help: internal: Failed in ") == 1  # said once
    assert "hunter2" not in note
    # And it goes on with what comes then.
    columns = worker._columnar.clean
    cleaned: list[int] = []
    worker._columnar.clean = lambda *words: cleaned.append(1) or columns(*words)  # type: ignore
    worker.process_block(block.replace(b"panic", b"other") if panic == "event" else blocks[0])
    assert cleaned


def test_one_that_fails_over_a_plain_event_is_not_used(
    panicking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = native._PLAIN
    monkeypatch.setattr(native, "_PLAIN", plain.replace(b"request.http_transaction", b"panic"))
    part, note = load(panicking)
    assert part is None
    assert note == f"is not used: {FILE.name} fails over a plain event: build it again"


def test_a_failure_beside_it_costs_no_event(
    library: Path, plain_block: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(b"k" * 32, RecordOptions(store=Path()), Native(library))
    monkeypatch.setattr(Clean, "part_without", lambda *words: 1 / 0)
    assert ids(worker.process_block(plain_block)) == [f"r{n}" for n in range(5)]


def test_a_build_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match="there is no cargo"):
        build(tmp_path)
    if fails := shutil.which("false", path=os.defpath):
        (tmp_path / "cargo").symlink_to(fails)
        with pytest.raises(Unusable):
            build(tmp_path)
    missing = tmp_path / "none"
    monkeypatch.setattr("sys.argv", ["build", str(missing)])
    with pytest.raises(SystemExit) as end:
        build_main()
    assert str(end.value) == f"error: {missing} is no folder: name one that exists"


def lines_of(path: Path) -> Iterator[str]:
    yield from path.read_text(encoding="utf-8").splitlines()


def test_the_compiled_part_needs_no_other(library: Path) -> None:
    """Rust's standard library alone, and nothing unsafe but at the edge."""
    folder = FILE.parent
    assert "[dependencies]" not in list(lines_of(folder / "Cargo.toml"))
    edge = [path.name for path in sorted((folder / "src").glob("*.rs"))
            if any("unsafe" in line and "deny" not in line for line in lines_of(path))]  # fmt: skip
    assert edge == ["lib.rs"]
