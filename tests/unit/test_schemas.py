"""The JSON Schemas in docs/schema are what the types say, and hold what netfs writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from netfs.model.snapshot import Snapshots
from tests.unit.clusters import cluster

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted((ROOT / "docs" / "schema").glob("*.json"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / "docs/schema/netfs.snapshot.v1.json").read_text()))


@pytest.fixture
def document() -> dict[str, Any]:
    """A cluster as `netfs collect` saves it."""
    saved: dict[str, Any] = json.loads(msgspec.json.encode(Snapshots(tuple(cluster()))))
    return saved


def test_schemas_are_what_the_types_say() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "schema.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_schema_is_a_schema_and_names_its_version(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert f"{schema['title'].replace('/', '.')}.json" == path.name


def test_schema_holds_a_cluster(validator: Draft202012Validator, document: dict[str, Any]) -> None:
    validator.validate(document)


def drop_schema(document: dict[str, Any]) -> None:
    del document["schema"]


def name_next_version(document: dict[str, Any]) -> None:
    document["schema"] = "netfs.snapshot/v2"


def mistype_mtu(document: dict[str, Any]) -> None:
    document["nodes"][0]["namespaces"][0]["links"][0]["mtu"] = "1500"


@pytest.mark.parametrize("spoil", [drop_schema, name_next_version, mistype_mtu])
def test_schema_refuses_another_document(
    validator: Draft202012Validator, document: dict[str, Any], spoil: Callable[[dict[str, Any]], None]
) -> None:
    spoil(document)
    assert not validator.is_valid(document)
