"""`qrec schema`: the JSON that endpoints take and give, and what changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrec.options import BaselineFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column
from qrec.run import Run, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queries.schema import EndpointSchema


def schema(
    *,
    window: WindowFlags,
    baseline: BaselineFlags,
    only: WhereFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> None:
    """The shape of an endpoint's JSON bodies; with --vs, which fields came, went or changed type.

    --json has it as JSON Schema.

    \b
    Examples:
      qrec schema --where 'req.host == "api.stripe.com"'
      qrec schema --where 'route == "/v1/charges"' --json
      qrec schema --vs yesterday
    """
    run = Run(store, rows)
    if any(value is not None for value in vars(baseline).values()):
        _compared(run, window, baseline, only)
    else:
        _shown(run, window, only)


def _shown(run: Run, window: WindowFlags, only: WhereFlags) -> None:
    from qrec.format import number, window_heading
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.schema import schema as ask

    answer = ask(run.store, run.window(window), parsed(only), run.limit)
    columns = [
        Column("method"), Column("host", give=1), Column("route", give=1),
        Column("requests", right=True), Column("sampled", right=True), Column("fields", right=True),
    ]  # fmt: skip
    cells = [
        [e.method, e.host, e.route, number(e.requests), number(e.sampled), number(len(_paths(e)))]
        for e in answer.endpoints
    ]
    heading = window_heading(answer.window, run.tz)
    text = None
    if len(answer.endpoints) == 1:  # one endpoint is shown in full
        text = "\n".join([heading, _in_full(run, answer.endpoints[0])])
    present(run, Answer(document(answer), "endpoints", columns, cells, heading,
                        "no bodies were kept in what matches", text=text))  # fmt: skip


def _in_full(run: Run, endpoint: EndpointSchema) -> str:
    from qrec.safe import visible

    title = " ".join(p for p in (endpoint.method, endpoint.host, endpoint.route) if p)
    return "\n".join([run.paint(visible(title), "bold"), *map(visible, _paths(endpoint))])


def _paths(endpoint: EndpointSchema) -> list[str]:
    """`response 2xx  $.items[].price?  number`: a field a line; `?` where it may be missing."""
    parts = {"request": endpoint.request} if endpoint.request else {}
    parts |= {f"response {status}": found for status, found in endpoint.responses.items()}
    return [
        f"  {part:<12}  {path}  {kind}"
        for part, found in parts.items()
        for path, kind in _fields(found, "$")
    ]


def _fields(found: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, inner in found.get("properties", {}).items():
        place = f"{path}.{name}" + ("" if name in found.get("required", ()) else "?")
        lines.append((place, _kind(inner)))
        lines += _fields(inner, place)
    if "items" in found:
        inner = found["items"]
        if "properties" not in inner:
            lines.append((f"{path}[]", _kind(inner)))
        lines += _fields(inner, f"{path}[]")
    return lines


def _kind(found: Mapping[str, Any]) -> str:
    kind = found.get("type", "any")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _compared(run: Run, window: WindowFlags, vs: BaselineFlags, only: WhereFlags) -> None:
    from qrec.format import plural, share, stretch
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.schema import compare_schemas as ask

    asked, baseline = run.windows(window, vs)
    answer = ask(run.store, asked, baseline, parsed(only), run.limit)
    columns = [
        Column("change"), Column("endpoint", give=2), Column("part"), Column("field", give=1),
        Column("before"), Column("after"),
    ]  # fmt: skip
    cells = [
        [c.change, f"{c.method} {c.host} {c.route}", c.part, c.path,
         _side(c.before, c.before_share, share), _side(c.after, c.after_share, share)]
        for c in answer.changes
    ]  # fmt: skip
    against = stretch(baseline.from_ts, baseline.to_ts, run.tz, asked.from_ts)
    heading = (f"{stretch(asked.from_ts, asked.to_ts, run.tz)} against {against}: "
               f"{plural(answer.compared, 'endpoint')} compared")  # fmt: skip
    present(run, Answer(document(answer), "changes", columns, cells, heading,
                        "no field appeared, vanished or changed its type"))  # fmt: skip


def _side(kinds: tuple[str, ...], part: float | None, share: Any) -> str:
    text = " or ".join(kinds) or "-"
    return text if part in (None, 0.0, 1.0) else f"{text} ({share(part)})"
