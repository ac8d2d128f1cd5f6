"""Print the lower bound of each run-time dependency as a pin, so that the bounds are true."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
for dependency in project["dependencies"]:
    match = re.match(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", dependency)
    if match is None:
        sys.exit(f"{dependency!r} has no lower bound")
    print(f"{match[1]}=={match[2]}")
