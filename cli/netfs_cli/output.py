"""The answer leaves here: as text, JSON or YAML, to stdout or to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netfs_cli import terminal
from netfs_cli.render.ink import Ink
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
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
    path = Path(write)
    body = _render(answer, text, _form_of(path, form), Ink(colour=False), None)
    path.write_text(body, encoding="utf-8", errors="backslashreplace")


def _render(
    answer: DataclassInstance, text: Callable[[Ink, int | None], str], form: str, ink: Ink, columns: int | None
) -> str:
    if form == "json":
        return to_json(answer)
    if form == "yaml":
        return to_yaml(answer)
    return text(ink, columns).rstrip("\n") + "\n"


def to_json(answer: DataclassInstance) -> str:
    """Indented JSON, the schema first, in ASCII: no name in it can speak to a terminal."""
    import json

    return json.dumps(_builtins(answer), indent=2, ensure_ascii=True) + "\n"


def to_yaml(answer: DataclassInstance) -> str:
    """The same document as YAML, in ASCII."""
    import yaml

    text: str = yaml.safe_dump(_builtins(answer), sort_keys=False, default_flow_style=False)
    return text


def _builtins(answer: DataclassInstance) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(answer)
    return {"schema": fields.pop("schema"), **fields}


def _form_of(path: Path, form: str) -> str:
    suffix = path.suffix.lower()
    if suffix in _PLAIN:
        return form
    if suffix not in _FORMATS:
        from netfs.errors import UsageError

        raise UsageError(
            f"no form of the answer has the suffix {suffix}", where=str(path), hint="use .json, .yaml, .txt"
        )
    return _FORMATS[suffix]


def _columns() -> int | None:
    return terminal.width(sys.stdout)
