"""The answer leaves here: as text, JSON or YAML, to stdout or to a file."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netfs_cli import terminal
from netfs_cli.render.ink import Ink
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_PLAIN = ("", ".txt", ".log")


def show(
    answer: DataclassInstance,
    text: Callable[[Ink, int | None], str],
    *,
    settings: Settings,
    form: str,
    write: str | None = None,
) -> None:
    """Show a record: ``text`` draws it for people, JSON and YAML are made from its fields.

    Raises UsageError where the suffix of ``write`` names a form that this answer does not have.
    """
    if write is None or write == "-":
        sys.stdout.write(_render(answer, text, form, terminal.ink(settings.colour, sys.stdout), _columns()))
        sys.stdout.flush()
        return
    body = _render(answer, text, form_of(write, form), Ink(colour=False), None)
    with open(write, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(body)


def _render(
    answer: DataclassInstance, text: Callable[[Ink, int | None], str], form: str, ink: Ink, columns: int | None
) -> str:
    if form == "json":
        return to_json(answer)
    if form == "yaml":
        return to_yaml(answer)
    return text(ink, columns).rstrip("\n") + "\n"


def to_json(answer: DataclassInstance) -> str:
    """Indented JSON, the schema first, in ASCII: no name in it can speak to a terminal.

    msgspec writes the same as json, sooner; but it leaves what is not ASCII as it is, and takes no lone surrogates.
    """
    import json

    import msgspec

    try:
        written = msgspec.json.format(_encoded(answer), indent=2).decode()
    except UnicodeEncodeError:
        return json.dumps(_builtins(answer), indent=2, ensure_ascii=True) + "\n"
    return _FOREIGN.sub(lambda found: json.dumps(found[0])[1:-1], written) + "\n"


def _encoded(answer: DataclassInstance) -> bytes:
    """The record as JSON. Its schema, a record's last field, is moved to the front."""
    import msgspec

    written = msgspec.json.encode(answer)
    schema = b'"schema":' + msgspec.json.encode(answer.schema)  # type: ignore[attr-defined]  # every answer has one
    assert written.endswith(schema + b"}")
    rest = written[1 : -len(schema) - 1].rstrip(b",")
    return b"{" + schema + (b"," if rest else b"") + rest + b"}"


def to_yaml(answer: DataclassInstance) -> str:
    """The same document as YAML, in ASCII."""
    import yaml

    # libyaml is faster by a factor; a distribution's PyYAML may lack it.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    document = _builtins(answer)
    try:
        text: str = yaml.dump(document, Dumper=dumper, sort_keys=False, default_flow_style=False)
    except UnicodeEncodeError:  # a name that is no UTF-8: libyaml takes no lone surrogates
        text = yaml.dump(document, Dumper=yaml.SafeDumper, sort_keys=False, default_flow_style=False)
    return text


def _builtins(answer: DataclassInstance) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(answer)
    return {"schema": fields.pop("schema"), **fields}


def form_of(write: str | None, form: str) -> str:
    """The form that an answer gets: that of the file's suffix, else the one that was asked for.

    Raises UsageError where the suffix names none.
    """
    if write is None or write == "-":
        return form
    suffix = os.path.splitext(write)[1].lower()
    if suffix in _PLAIN:
        return form
    if suffix not in _FORMATS:
        from netfs.errors import UsageError

        raise UsageError(f"no form of the answer has the suffix {suffix}", where=write, hint="use .json, .yaml, .txt")
    return _FORMATS[suffix]


def _columns() -> int | None:
    return terminal.width(sys.stdout)
