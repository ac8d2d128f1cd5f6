"""What is recorded is for its owner's eyes only, whatever the umask of the shell."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fixtures import bundled_stream
from recorder.options import RecordOptions
from recorder.replay import replay


def test_every_file_of_a_store_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replay([bundled_stream("quiet")], RecordOptions(store=tmp_path / "s"))
    finally:
        os.umask(before)
    everything = [tmp_path / "s", *(tmp_path / "s").rglob("*")]
    assert {path.suffix for path in everything} >= {".parquet", ".json", ".key"}
    loose = [str(path) for path in everything if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert loose == []
