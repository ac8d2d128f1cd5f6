"""The house stays as it is: bounds for the figures that `python -m bench.house` prints.

A bound goes up for a new capability alone, by what that needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.house import circles, depth, figures, modules, places_of, repeated

BOUNDS = {
    "modules": 187,
    "lines": 42_225,
    "depth": 12,
    "lazy_per_100_functions_qrec": 8,
    "file_max": 450,
    "repeated_runs": 11,
    "places_of_a_question": 2,
}


@pytest.fixture(scope="module")
def house() -> dict[str, Any]:
    return figures()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_figure_stays_within_its_bound(house: dict[str, Any], name: str) -> None:
    value = house[name]
    assert (len(value) if isinstance(value, list) else value) <= BOUNDS[name], value


def test_no_modules_import_one_another(house: dict[str, Any]) -> None:
    """Not in functions and not under TYPE_CHECKING either."""
    assert house["circles"] == []


def _tree(root: Path, files: dict[str, str]) -> Path:
    (root / "pyproject.toml").write_text(
        '[tool.hatch.build.targets.wheel]\npackages = ["qrec", "queries"]\n'
    )
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_imports_are_read_wherever_they_stand(tmp_path: Path) -> None:
    files = {
        "qrec/__init__.py": "",
        "qrec/cli.py": "def ask():\n    from queries import hosts\n    return hosts\n",
        "queries/__init__.py": "",
        "queries/hosts.py": "from .rows import ask\n\nNAME = 'hosts'\n",
        "queries/rows.py": "TYPE_CHECKING = 0\nif TYPE_CHECKING:\n    import queries.hosts\n",
        "docs/hosts.md": "",
    }
    house = modules(_tree(tmp_path, files))
    assert house["qrec.cli"].lazy == [{"queries.hosts"}]
    assert house["queries.hosts"].top == {"queries.rows"}
    assert circles({n: m.imports for n, m in house.items()}) == [["queries.hosts", "queries.rows"]]
    assert places_of("hosts", tmp_path, house) == [
        "docs/hosts.md", "qrec/cli.py", "queries/hosts.py", "queries/rows.py",
    ]  # fmt: skip


def test_the_longest_chain_is_counted_in_modules() -> None:
    assert depth({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": set()}) == 3


def test_a_run_that_goes_on_is_one(tmp_path: Path) -> None:
    lines = "".join(f"value_{n} = {n}\n" for n in range(9))
    files = {"qrec/a.py": lines, "qrec/b.py": f"import sys\n\n{lines}", "qrec/c.py": lines[:30]}
    assert repeated(modules(_tree(tmp_path, files))) == 1
