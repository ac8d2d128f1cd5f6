"""Real examples out of the documentation of APIs, and what redaction takes out of them.

    python -m bench.redaction_documents FOLDER

FOLDER holds, unpacked, the packages `botocore` (of PyPI: examples of calls of AWS) and
`@octokit/openapi` (of npm: examples in GitHub's description of its API). Whoever reads the list
that is printed tells secrets from what was taken out for nothing.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor


def documents(folder: Path) -> Iterator[tuple[str, Any]]:
    """(where it comes from, example), each once for every place it is shown in."""
    for path in sorted(folder.rglob("examples-1.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for operation, examples in json.loads(text).get("examples", {}).items():
            for example in examples:
                for side in ("input", "output"):
                    yield f"{path.parent.parent.name}/{operation}", example.get(side)
    for path in sorted(folder.rglob("api.github.com.json")):
        yield from (("github", example) for example in _examples(json.loads(path.read_bytes())))


def _examples(node: Any) -> Iterator[Any]:
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one.get("example")
            several = one.get("examples")
            for each in several.values() if isinstance(several, dict) else ():
                yield each.get("value") if isinstance(each, dict) else None
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def values(node: Any) -> int:
    """How many strings, numbers and constants a document holds."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return 1 if inner is None else sum(map(values, inner))


def main(folder: Path) -> None:
    redactor = Redactor(b"bench-only-key-of-32-bytes-long!", RedactConfig())
    seen: set[str] = set()
    found: Counter[str] = Counter()
    total = 0
    for where, example in documents(folder):
        text = json.dumps(example)
        if not isinstance(example, (dict, list)) or text in seen:
            continue
        seen.add(text)
        total += values(example)
        tx = Transaction(ts=0, method="GET", status=200, res_body=text.encode())
        redactor.redact(tx)
        found.update(f"{one.kind} {where} {one.place}" for one in tx.findings or ())
    for label, count in found.most_common():
        print(count, label)
    print(f"{len(seen)} documents, {total} values, {found.total()} taken out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
