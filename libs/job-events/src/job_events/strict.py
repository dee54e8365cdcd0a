"""Strict reading of requests: an unknown field is refused, at any depth, with its path.

Readers of events ignore unknown fields of the same types.
"""

import re
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from job_events.errors import InvalidRequest

Read = TypeVar("Read")
_LONGEST_NAME = 100  # characters of a name in an error
_place = re.compile(r" - at (?:`key` in )?`\$([^`]*)`$")


def read_strictly(value: object, kind: type[Read], path: str) -> Read:
    """`value`, of JSON's types, as a `kind`; `path` names the value in what the caller sent.

    Raises:
        InvalidRequest: a field that is unknown, missing, of another type or out of range.
    """
    try:
        _refuse_unknown(value, _described(kind), path)
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason = str(error)
        found = _place.search(reason)
        where = found[1] if found else ""
        raise InvalidRequest(path + where, _place.sub("", reason)) from None
    except RecursionError:
        raise InvalidRequest(path, "nests too deeply") from None


@lru_cache(64)
def _described(kind: type) -> inspect.Type:
    return inspect.type_info(kind)


def _refuse_unknown(value: object, kind: inspect.Type, path: str) -> None:
    match kind:
        case inspect.UnionType():
            for one in kind.types:
                _refuse_unknown(value, one, path)
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            for name, held in value.items():
                here = f"{path}.{str(name)[:_LONGEST_NAME]}"
                if name not in fields:
                    raise InvalidRequest(here, "unknown field")
                _refuse_unknown(held, fields[name], here)
        case inspect.DictType() if isinstance(value, dict):
            for name, held in value.items():
                _refuse_unknown(held, kind.value_type, f"{path}.{str(name)[:_LONGEST_NAME]}")
        case inspect.ListType() | inspect.VarTupleType() if isinstance(value, list | tuple):
            held: Any
            for index, held in enumerate(value):
                _refuse_unknown(held, kind.item_type, f"{path}[{index}]")
        case _:
            pass
