"""Writes the JSON Schema of every document that netfs prints or saves to docs/schema, from the types themselves.

netfs.sources.schema describes the library's documents; the command's own are found here and described alike.

usage: python .ci/schema.py           write them anew
       python .ci/schema.py --check   exit 1 where a file is not what the types say
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import netfs_cli
from netfs.sources.schema import KINDS, json_schema

FOLDER = Path(__file__).parents[1] / "docs" / "schema"


def documents_of_the_command() -> dict[str, type]:
    """Every record of the command that is a document of its own, by the name of its schema (``netfs.pods/v1``)."""
    found: dict[str, type] = {}
    for info in pkgutil.walk_packages(netfs_cli.__path__, "netfs_cli."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        records = [record for record in vars(module).values() if inspect.isclass(record) and schema_of(record)]
        own = [record for record in records if record.__module__ == info.name]
        if own:
            load_annotations(module)
        found |= {schema_of(record): record for record in own}
    return found


def load_annotations(module: ModuleType) -> None:
    """Import what a module names in annotations alone (``if TYPE_CHECKING``): msgspec evaluates them."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), str(module.__file__), "exec"), vars(module))


def schema_of(record: type) -> str:
    """The default of the field ``schema``; empty where the record is no document."""
    fields = dataclasses.fields(record) if dataclasses.is_dataclass(record) else ()
    return next((str(field.default) for field in fields if field.name == "schema"), "")


def main() -> int:
    """Write or check; the exit status."""
    KINDS.update(documents_of_the_command())
    wanted = {
        f"{kind.replace('/', '.')}.json": json.dumps(json_schema(kind), indent=2, sort_keys=True) + "\n"
        for kind in KINDS
    }
    present = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    if "--check" in sys.argv[1:]:
        stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        for name in stale:
            print(f"docs/schema/{name} is not what the types say: run make schema", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
