"""The figures of the house: how much code there is, how it hangs together, what it repeats.

    python -m bench.house           # a table, beside what is wanted
    python -m bench.house --json    # one document

Only what is shipped counts: the packages that pyproject.toml puts into the wheel. Nothing is
imported, modules are read as text. tests/contract/test_house_figures.py holds the bounds.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
# A question without a drawing of its own, whose name means nothing else in the house: the files
# that bear or write it are those that a new question of its kind needs.
QUESTION: Final = "slow"
FACES: Final = ("qrec", "mcp_tools", "pages", "queries")
SHORTEST_RUN: Final = 6  # lines alike, one after the other, that count as repeated
WANTED: Final = {
    "modules": 185,
    "lines": 29_500,
    "depth": 12,
    "circles": 0,
    "lazy_per_100_functions_qrec": 25,
    "places_of_a_question": 3,
}
Graph = Mapping[str, set[str]]


@dataclass
class Module:
    """One file of Python, and the modules of the house that it imports.

    top: by statements outside functions, those under TYPE_CHECKING included; lazy: by
    statements inside functions, one entry a statement.
    """

    name: str
    path: Path
    text: str
    functions: int = 0
    top: set[str] = field(default_factory=set)
    lazy: list[set[str]] = field(default_factory=list)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def imports(self) -> set[str]:
        return self.top.union(*self.lazy)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def read(self, names: set[str]) -> None:
        """Count functions and sort imports of `names`."""
        inside: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions += 1
                inside.update(id(child) for child in ast.walk(node) if child is not node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                targets = {t for t in self._targets(node, names) if t in names} - {self.name}
                if id(node) in inside:
                    self.lazy.append(targets)
                else:
                    self.top |= targets

    def _targets(self, node: ast.Import | ast.ImportFrom, names: set[str]) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        base = node.module or ""
        if node.level:
            package = self.name.split(".")
            package = package if self.is_package() else package[:-1]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, base] if base else package)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in names else base


def packages(root: Path) -> list[str]:
    """The packages of the wheel."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return [str(name) for name in shipped]


def modules(root: Path) -> dict[str, Module]:
    """Every shipped module by its dotted name."""
    house: dict[str, Module] = {}
    for package in packages(root):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            house[name] = Module(name, path, path.read_text(encoding="utf-8"))
    for module in house.values():
        module.read(set(house))
    return house


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import one another, straight or around a corner (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    rings: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(graph[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            place = stack.index(name)
            ring = stack[place:]
            del stack[place:]
            if len(ring) > 1:
                rings.append(sorted(ring))

    for name in graph:
        if name not in index:
            visit(name)
    return rings


def depth(graph: Graph) -> int:
    """Modules in the longest chain of imports. A circle is cut where it closes."""
    known: dict[str, int] = {}

    def below(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            return 0
        if name not in known:
            chain = (*path, name)
            known[name] = 1 + max((below(t, chain) for t in graph[name]), default=0)
        return known[name]

    return max(below(name, ()) for name in graph)


def single_importer(graph: Graph) -> list[str]:
    """Modules that exactly one other imports at module level."""
    importers: dict[str, int] = defaultdict(int)
    for targets in graph.values():
        for target in targets:
            importers[target] += 1
    return sorted(name for name, count in importers.items() if count == 1)


def repeated(house: Mapping[str, Module]) -> int:
    """Runs of six or more lines of code that stand in two places, to the letter.

    Blank lines, comments and imports do not count; a run that goes on is one.
    """
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    runs = 0
    for name, module in house.items():
        lines = list(_code(module.text))
        before: tuple[str, int] | None = None
        for start in range(len(lines) - SHORTEST_RUN + 1):
            window = tuple(lines[start : start + SHORTEST_RUN])
            place = first.setdefault(window, (name, start))
            again = place != (name, start)
            if again and (before is None or place != (before[0], before[1] + 1)):
                runs += 1
            before = place if again else None
    return runs


def _code(text: str) -> Iterator[str]:
    for line in text.splitlines():
        bare = line.strip()
        if len(bare) > 1 and not bare.startswith(("#", "import ", "from ")):
            yield bare


def places_of(question: str, root: Path, house: Mapping[str, Module]) -> list[str]:
    """The files that a question of that name needs: those that bear its name (module, SQL, page
    of docs), and modules of the faces that import it or write its name as a text."""
    places = set((root / "docs").glob(f"{question}.md"))
    for package in FACES:
        places |= {
            p for p in (root / package).rglob(f"{question}.*") if p.suffix in (".py", ".sql")
        }
    named = {name for name in house if name.rpartition(".")[2] == question}
    for module in house.values():
        if module.name.partition(".")[0] in FACES:
            texts = {n.value for n in ast.walk(module.tree) if isinstance(n, ast.Constant)}
            if module.imports & named or question in texts:
                places.add(module.path)
    return sorted(str(path.relative_to(root)) for path in places)


def figures(root: Path = ROOT) -> dict[str, Any]:
    """All figures. `lines` counts docstrings and blanks; `circles` counts imports inside
    functions and under TYPE_CHECKING."""
    house = modules(root)
    top = {name: module.top for name, module in house.items()}
    every = {name: module.imports for name, module in house.items()}
    lengths = sorted(module.lines for module in house.values())
    face = [module for module in house.values() if module.name.split(".")[0] == "qrec"]
    functions = sum(module.functions for module in face)
    places = places_of(QUESTION, root, house)
    return {
        "modules": sum(1 for module in house.values() if module.text.strip()),
        "lines": sum(lengths),
        "file_p50": lengths[len(lengths) // 2],
        "file_p95": lengths[int(len(lengths) * 0.95)],
        "file_max": lengths[-1],
        "depth": depth(top),
        "circles": circles(every),
        "lazy_per_100_functions_qrec": round(
            100 * sum(len(module.lazy) for module in face) / max(1, functions)
        ),
        "single_importer": len(single_importer(top)),
        "repeated_runs": repeated(house),
        "places_of_a_question": places,
    }


def table(result: Mapping[str, Any]) -> str:
    """One line a figure; lists as their lengths, with what they hold beneath."""
    lines = [f"{'figure':30}{'is':>8}{'wanted':>12}"]
    for name, value in result.items():
        count = len(value) if isinstance(value, list) else value
        wanted = WANTED.get(name)
        lines.append(f"{name:30}{count:>8,}{'' if wanted is None else f'<= {wanted:,}':>12}")
        if isinstance(value, list):
            lines += [
                f"    {item if isinstance(item, str) else ' <-> '.join(item)}" for item in value
            ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.house", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print the figures as one document")
    parser.add_argument("--of", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args(argv)
    result = figures(arguments.of)
    print(json.dumps(result, indent=1) if arguments.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
