"""Output schemas: the dataclasses of an answer as pydantic models, under the names of its JSON.

The document itself is made in one place (queries.core.question.document), for the command line
too; a model only describes and checks it. Times are ISO 8601 text there, so they are text here.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model


@lru_cache(maxsize=128)
def model_of(answer: type[Any]) -> type[BaseModel]:
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
