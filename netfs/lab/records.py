"""Frozen records from their JSON documents, with nothing but the standard library: a lab needs only python3."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: type[T], value: object) -> T:
    """A record of a dataclass. Raises TypeError, naming the type, for what is none."""
    return cast("T", _decode(kind, value))


@cache
def _fields(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: object) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict) or not value.keys() <= _fields(kind).keys():
            raise TypeError(f"not a {kind.__name__}: {value!r}")
        return kind(**{key: _decode(_fields(kind)[key], each) for key, each in value.items()})
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_decode(arguments[0], each) for each in value)
    if origin is Mapping and isinstance(value, dict):
        return {_decode(arguments[0], key): _decode(arguments[1], each) for key, each in value.items()}
    if origin in (types.UnionType, Union):
        return _first(arguments, value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise TypeError(f"not {kind}: {value!r}")


def _first(kinds: tuple[Any, ...], value: object) -> object:
    """The value as the first of several types that it fits."""
    for kind in kinds:
        try:
            return _decode(kind, value)
        except TypeError:
            continue
    raise TypeError(f"none of {kinds}: {value!r}")
