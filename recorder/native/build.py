"""Builds the compiled part: `python -m recorder.native.build [FOLDER]`.

Takes a Rust compiler (cargo) and some seconds, and no network. The library is put beside the
package, where a recorder looks for it at its next start; or into FOLDER.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from recorder.native import FILE, Native, Unusable


def build(folder: Path = FILE.parent, source: Path = FILE.parent) -> Path:
    """Build the library of `source` into `folder`; its path. Unusable, with the reason, where that
    fails."""
    if not folder.is_dir():
        raise Unusable(f"{folder} is no folder: name one that exists")
    cargo = shutil.which("cargo")
    if cargo is None:
        raise Unusable("there is no cargo: install Rust (the standard library is all it needs)")
    with tempfile.TemporaryDirectory() as target:
        command = [cargo, "build", "--release", "--offline", "--target-dir", target]
        ran = subprocess.run(
            [*command, "--manifest-path", str(source / "Cargo.toml")],
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise Unusable(ran.stderr.strip()[-2000:])
        built = Path(target) / "release" / FILE.name
        new = folder / f"{FILE.name}.new"
        shutil.copyfile(built, new)
        Native(new)
        # A new file under the old name: a recorder that runs keeps the one that it has.
        return new.rename(folder / FILE.name)


def main() -> None:
    try:
        print(f"built {build(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE.parent)}")
    except Unusable as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
