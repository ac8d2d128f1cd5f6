"""Which containers sent or served requests: how many, how well, and whom they called."""

from __future__ import annotations

from datetime import datetime

from queries.core.answer import PagedAnswer
from queries.core.question import CURSOR, LIMIT, WHERE, Column, Question
from queries.core.selection import listing
from queries.processes import PART_COLUMNS, Part, with_parts
from store.values import dataclass


@dataclass(frozen=True)
class ContainerRow:
    """A container; null: the programs that run on the host itself. Sizes in bytes.

    Bytes are those of requests (sent) and responses (received), whichever side it was on. More
    than one image: it was replaced within the window. Lists hold five at most.
    """

    container: str | None
    images: tuple[str, ...]
    pods: tuple[str, ...]
    namespaces: tuple[str, ...]
    processes: tuple[str, ...]
    called: Part
    served: Part
    bytes_sent: int
    bytes_received: int
    first_seen: datetime
    last_seen: datetime
    hosts: tuple[str, ...]
    hosts_total: int


@dataclass(frozen=True)
class Containers(PagedAnswer):
    """The containers of a window, the busiest first."""

    containers: tuple[ContainerRow, ...]


containers = listing("containers", Containers, lambda row, _: ContainerRow(**with_parts(row)))
CONTAINERS = Question(
    name="containers",
    tool="get_containers",
    title="Containers",
    summary="who sends and serves",
    group="traffic",
    function=containers,
    answer=Containers,
    rows="containers",
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("container", lambda c: c.container or "(on the host)", give=1),
        Column("image", lambda c: " ".join(c.images) or "-", give=3, optional=True),
        *PART_COLUMNS,
    ),
    help="""
    \b
    Examples:
      qrec containers
      qrec containers --where 'direction == "egress-external"'
    """,
    guide="""
    Which containers sent or served requests in a window: how many, how well, how fast.

    `called` are requests that a container sent, `served` those that it answered. Container null
    stands for programs that run on the host itself. Two images of one container mean that it was
    replaced within the window. Use it for "what runs here?" and "which service is busy or
    failing?". Next: get_dependencies or get_errors with `container`.
    """,
)
