"""The tools: a question of queries/ each, with the arguments, text and schema of its declaration.

The document itself is made in one place (queries.core.answer.document), for the command line too;
an output schema only describes and checks it: the dataclasses of an answer as pydantic models,
under the names of its JSON. Times are ISO 8601 text there, so they are text here.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, create_model

from mcp_tools.context import Context, result
from mcp_tools.errors import CarefulTool
from mcp_tools.text import brief
from queries.core.answer import Changes
from queries.core.question import REQUIRED, Argument, Question

_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_MOST_ITEMS = 20


def tool_of(question: Question, context: Context) -> Tool:
    """The question as a tool over the store of `context`."""
    tool = CarefulTool.from_function(
        _function(question, context),
        name=question.tool,
        title=question.title,
        description=inspect.cleandoc(question.guide),
        annotations=_READ_ONLY,
        structured_output=True,
    )
    # A mistyped argument that is silently ignored gives a right answer to a wrong question.
    arguments = tool.fn_metadata.arg_model
    strict = {"model_config": ConfigDict(extra="forbid"), "__module__": __name__}
    tool.fn_metadata.arg_model = type(arguments.__name__, (arguments,), strict)
    tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
    return tool


def _function(question: Question, context: Context) -> Callable[..., CallToolResult]:
    """A function of the question's arguments, with the signature that the server reads.

    The text of what_changed is its own, so that the question asked first does not fill the
    context; the structured content is the whole document as ever.
    """

    def ask(**values: Any) -> CallToolResult:
        answer = question.ask(context.open(), values, context.now(), context.tz)
        short = isinstance(answer, Changes) and not values.get("explain")
        return result(answer, brief(answer) if short else None)

    answer: Any = question.answer
    model = model_of(answer)
    signature = inspect.Signature(
        [_parameter(argument) for argument in question.every_argument],
        return_annotation=Annotated[CallToolResult, model],
    )
    ask.__signature__ = signature  # type: ignore[attr-defined]
    ask.__name__ = question.tool
    return ask


def _parameter(argument: Argument) -> inspect.Parameter:
    default = inspect.Parameter.empty if argument.default is REQUIRED else argument.default
    bounds: dict[str, Any] = {}
    kind: Any = argument.kind
    if argument.choices:
        kind = Literal[argument.choices]
    elif kind is int:
        bounds = {"ge": argument.least, "le": argument.most}
    elif kind is list:
        kind = list[Annotated[str, Field(max_length=argument.most)]]
        bounds = {"min_length": 1, "max_length": _MOST_ITEMS}
    else:
        bounds = {"max_length": argument.most}
    if default is None:
        kind = kind | None
    annotation = Annotated[kind, Field(description=argument.help, **bounds)]
    return inspect.Parameter(
        argument.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


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
