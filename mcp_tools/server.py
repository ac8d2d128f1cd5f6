"""The MCP server: the questions of queries/ as tools, over stdio or HTTP on this machine.

A tool is a question with the arguments and the text of its declaration. Every one answers when it
is called by its name; listed are those that an incident needs, and `ask`, which takes the name of
any other: a list of all costs an assistant three times as much before its first question. A server
for programs (`listed="all"`) lists all with their output schemas.

A result is text (mcp_tools.text), or with format="json" the document of the command line
(queries.core.answer.document) as structured content. A tool for programs has an output schema, and
gives documents by default: there the dataclasses of an answer are pydantic models under the names
of its JSON, whose times are ISO 8601 text.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
import signal
import sys
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from mcp_tools.prompts import add_prompts, add_resources, instructions
from mcp_tools.text import Context, capped, invalid, result, told
from queries.core.escape import visible
from queries.core.question import REQUIRED, Argument, Question, tools
from queries.core.watch import Watch, watched
from store import __version__
from store.errors import QrecError, did_you_mean
from store.layout import Store

_INTERRUPTED = 130
Listed = Literal["core", "all"]
T = TypeVar("T")
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_MOST_ITEMS = 20
_FORMAT: Final = Argument(
    "format", "text, or json: the whole document.", choices=("text", "json"), default="text"
)
_ASK: Final = """
One of the questions that have no tool of their own; they take the same window, filter and limit.

{questions}
Where a text names a tool that you do not have, ask for it here.
"""


def tool_of(question: Question, context: Context, listed: Listed = "core") -> Tool:
    """The question as a tool over the store of `context`."""
    form = replace(_FORMAT, default="json") if listed == "all" else _FORMAT
    arguments, answer = (*question.every_argument, form), cast("Any", question.answer)
    return CarefulTool(
        fn=lambda **values: result(question, context, values, structured=listed == "all"),
        name=question.tool, title=question.title, description=inspect.cleandoc(question.guide),
        parameters=_schema(arguments), is_async=False, context_kwarg=None, annotations=_READ_ONLY,
        fn_metadata=FuncMetadata(
            arg_model=_model(arguments),
            output_model=model_of(answer) if listed == "all" else None,
        ),
    )  # fmt: skip


class _Arguments(ArgModelBase):
    """A mistyped one that is silently ignored gives a right answer to a wrong question."""

    model_config = ConfigDict(extra="forbid")


def _model(arguments: Sequence[Argument]) -> type[_Arguments]:
    """How the values of a call are read."""
    fields: dict[str, Any] = {}
    for one in arguments:
        kind = _kind(one)
        fields[one.name] = (kind | None if one.default is None else kind,
                            ... if one.default is REQUIRED else one.default)  # fmt: skip
    return create_model("Arguments", __base__=_Arguments, **fields)


def _kind(argument: Argument) -> Any:
    """The type of its values, with their bounds."""
    if argument.choices:
        return Literal[argument.choices]
    if argument.kind is int:
        return Annotated[int, Field(ge=argument.least, le=argument.most)]
    text = Annotated[str, Field(max_length=argument.most)]
    some = Annotated[list[text], Field(min_length=1, max_length=_MOST_ITEMS)]
    return some if argument.kind is list else text


def _schema(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The arguments as JSON Schema, in far fewer bytes than pydantic takes for the same: without
    titles, and without null for what may be left out."""
    required = [one.name for one in arguments if one.default is REQUIRED]
    return {
        "type": "object",
        "properties": {one.name: _property(one) for one in arguments},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


@cache  # many are those of every question
def _property(argument: Argument) -> dict[str, Any]:
    kind = TypeAdapter(_kind(argument)).json_schema()
    if argument.default not in (None, REQUIRED):
        kind["default"] = argument.default
    return {**kind, "description": argument.brief or argument.help}


def ask_tool(questions: Sequence[Question], answering: Mapping[str, Tool]) -> Tool:
    """The tool that asks any of the questions, those of `questions` by its list."""
    arguments: dict[str, Argument] = {}
    for argument in (one for question in questions for one in question.every_argument):
        known = arguments.setdefault(argument.name, replace(argument, default=None))
        choices = tuple(dict.fromkeys((*known.choices, *argument.choices)))
        arguments[argument.name] = replace(known, choices=choices)
    names = tuple(question.tool for question in questions)
    which = Argument("question", "Which.", choices=names, default=REQUIRED)
    lines = (f"{one.tool}: {inspect.cleandoc(one.guide).splitlines()[0]}" for one in questions)
    return AskTool(
        fn=lambda: None, is_async=False, context_kwarg=None,
        name="ask", title="Ask", annotations=_READ_ONLY,
        description=_ASK.format(questions="\n".join(lines)).strip(),
        parameters=_schema((which, *arguments.values(), _FORMAT)),
        fn_metadata=FuncMetadata(arg_model=_Arguments), answering=dict(answering),
    )  # fmt: skip


@cache
def model_of(answer: Any) -> type[BaseModel]:
    """The model of a dataclass; fields are named as in the document, and all are required.

    A field's metadata may hold `name` (None: not in the document).
    """
    hints = get_type_hints(answer)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(answer):
        name = field.metadata.get("name", field.name)
        if name is not None:
            fields[f"f_{field.name}"] = (_plain(hints[field.name]), Field(alias=name))
    return create_model(
        answer.__name__,
        __config__=ConfigDict(extra="allow"),  # keys may be added to a document
        __doc__=answer.__doc__,
        **fields,
    )


def _plain(kind: Any) -> Any:
    """The type of a value once it is in the document."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return model_of(kind)
    if kind is datetime:
        return str
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_plain(arg) for arg in args)]  # noqa: UP007 - built at run time
    if origin in (tuple, list):
        return list[_plain(args[0])]  # type: ignore[misc]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _plain(args[1])]  # type: ignore[misc]
    return kind


FIRST_WORD_S = 1.0  # most answers are there by then
_EVERY_S = 1.0


async def accompanied(answer: Awaitable[T], context: Any) -> T:
    """The answer, with progress told to `context` once it takes longer than a second.

    When the request is cancelled, the queries behind it are interrupted: DuckDB stops within
    milliseconds, so that the machine that is in trouble is not kept busy for nobody.
    """
    watch, outcome = Watch(), []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, watch, context)
        with watched(watch):
            try:
                outcome.append(await answer)
            except Exception as error:  # out of the group as it is, not in one of its own
                failure: Exception | None = error
            else:
                failure = None
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome[0]


async def _tell(watch: Watch, context: Any) -> None:
    waited = FIRST_WORD_S
    try:
        await anyio.sleep(FIRST_WORD_S)
        while True:
            percent = watch.percent()
            how_far = "" if percent is None else f", {percent:.0f} % of this step"
            await context.report_progress(waited, None, f"scanning for {waited:.0f} s{how_far}")
            await anyio.sleep(_EVERY_S)
            waited += _EVERY_S
    finally:
        # Either the answer is there, and nothing runs, or nobody wants it any more.
        with anyio.CancelScope(shield=True):
            while not watch.stop():
                await anyio.sleep(0.02)


class CarefulTool(Tool):
    """A tool that tells qrec's own errors and bad arguments in an assistant's terms.

    It runs in a thread, under the eyes of `accompanied`.
    """

    async def run(
        self, arguments: dict[str, Any], context: Any, convert_result: bool = False
    ) -> Any:
        """As the base class. Raises ToolError; anything unforeseen keeps its text to itself."""
        try:
            return await accompanied(super().run(arguments, context, convert_result), context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, QrecError):
                raise ToolError(told(cause)) from None
            if isinstance(cause, ValidationError):
                known = list(self.fn_metadata.arg_model.model_fields)
                raise ToolError(capped(invalid(cause, known))) from None
            raise


class AskTool(CarefulTool):
    """A tool that hands its arguments on to the tool of the question that it is asked."""

    answering: dict[str, Tool] = Field(default={}, exclude=True)

    async def run(
        self, arguments: dict[str, Any], context: Any, convert_result: bool = False
    ) -> Any:
        """As the base class. Arguments that are null count as left out."""
        values = {name: value for name, value in arguments.items() if value is not None}
        name = str(values.pop("question", ""))[:60]
        if name not in self.answering:
            known = list(self.answering)
            hint = did_you_mean(name, known, f"It is one of {', '.join(known)}.")
            raise ToolError(capped(f"question: {name!r} is none. {hint}"))
        return await self.answering[name].run(values, context, convert_result)


class Server(MCPServer[Any]):
    """Tells what it lists, and refuses unknown names of tools and prompts as the protocol says."""

    listed: frozenset[str] = frozenset()

    async def list_tools(self) -> list[Any]:
        """Those that are listed; every other one answers all the same."""
        return [tool for tool in await super().list_tools() if tool.name in self.listed]

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """As the base class. Raises MCPError (-32602) for a tool that there is not."""
        _check_known("tool", name, [tool.name for tool in await super().list_tools()])
        return await super().call_tool(name, arguments, context)

    async def read_resource(self, uri: Any, context: Any = None) -> Any:
        """As the base class; an error of ours in an assistant's terms."""
        try:
            return await super().read_resource(uri, context)
        except ResourceError as error:
            if isinstance(error.__cause__, QrecError):
                raise ResourceError(told(error.__cause__)) from None
            raise

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Any = None
    ) -> Any:
        """As the base class. Raises MCPError (-32602) for a prompt that there is not."""
        _check_known("prompt", name, [prompt.name for prompt in await self.list_prompts()])
        return await super().get_prompt(name, arguments, context)


def _check_known(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        hint = did_you_mean(name, known, f"There are: {', '.join(known)}.")
        raise MCPError(INVALID_PARAMS, f"There is no {kind} {visible(name[:60])!r}. {hint}")


def build(
    store: Path | Callable[[], Store],
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    allow_sql: bool = False,
    listed: Listed = "core",
) -> Server:
    """A server over the store at `store`, which is opened anew for each question.

    tz: the zone of times that an assistant writes without one; now: what "the last hour" ends at;
    allow_sql: whether the assistant may write SELECT statements of its own; listed: see above.
    """
    # Before the constructor, which would set up logging in its own way.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="qrec mcp: %(message)s")
    context = Context(store, tz, now)
    questions = tools(allow_sql)
    known = {name: tool_of(question, context, listed) for name, question in questions.items()}
    others = [question for question in questions.values() if not question.core]
    server = Server(
        "qrec",
        title="qrec",
        instructions=instructions(context),
        version=__version__,
        log_level="WARNING",
        tools=[*known.values(), ask_tool(others, known)],
    )
    core = [name for name, question in questions.items() if question.core]
    server.listed = frozenset(known if listed == "all" else [*core, "ask"])
    add_resources(server, context)
    add_prompts(server, context)
    return server


def serve(server: Server, http_port: int | None = None) -> None:
    """Serve until the client goes away (stdio) or forever (HTTP on 127.0.0.1, path /mcp)."""
    if http_port is not None:
        server.run("streamable-http", host="127.0.0.1", port=http_port)
        return
    # The thread that reads stdin cannot be woken: without this, Ctrl-C would wait for a line.
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    server.run("stdio")
