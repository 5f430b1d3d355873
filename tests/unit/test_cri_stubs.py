"""The Python of a proto that is committed is what protoc makes of it: ``make stubs`` makes it anew."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOS = sorted(path.relative_to(ROOT) for path in (ROOT / "netfs").rglob("*.proto"))


@pytest.mark.parametrize("proto", PROTOS, ids=lambda proto: proto.name)
def test_stubs_are_those_of_their_proto(proto: Path, require_program: Callable[[str], str], tmp_path: Path) -> None:
    protoc = require_program("protoc")
    command = [protoc, f"--proto_path={ROOT}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(ROOT / proto)]
    subprocess.run(command, check=True)
    stub = proto.with_name(f"{proto.stem}_pb2.py")
    assert described(tmp_path / stub) == described(ROOT / stub)
    types = stub.with_suffix(".pyi")
    assert names(tmp_path / types) == names(ROOT / types)


def described(stub: Path) -> bytes:
    """The descriptor in it: all else is the same for every proto, and differs between versions of protoc."""
    (found,) = (
        node.args[0].value
        for node in ast.walk(ast.parse(stub.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "AddSerializedFile"
        and isinstance(node.args[0], ast.Constant)
    )
    assert isinstance(found, bytes)
    return found


def names(types: Path) -> dict[str, set[str]]:
    """Messages and enumerations, and their fields and values."""
    return {
        node.name: {
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        for node in ast.parse(types.read_text()).body
        if isinstance(node, ast.ClassDef)
    }


def test_there_is_something_to_compare() -> None:
    assert PROTOS
