"""JSON Schemas of what the library writes, made from its types."""

from __future__ import annotations

from typing import Any

import msgspec

from netfs.model import cgroups, flows, inspected, layer_answers, namespaces, recorded, snapshot, trace

KINDS: dict[str, type] = {
    snapshot.SCHEMA: snapshot.Snapshots,
    trace.SCHEMA: trace.Trace,
    flows.SCHEMA: flows.Decoded,
    recorded.SCHEMA: recorded.Recorded,
    layer_answers.LS: layer_answers.Layers,
    layer_answers.SHOW: layer_answers.ChainShown,
    layer_answers.WHICH: layer_answers.Which,
    layer_answers.DIFF: layer_answers.Diff,
    layer_answers.USAGE: layer_answers.Usage,
    layer_answers.ORPHANS: layer_answers.Orphans,
    namespaces.SCHEMA: namespaces.Namespaces,
    cgroups.SCHEMA: cgroups.Cgroups,
    inspected.SCHEMA: inspected.Inspected,
}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document of ``KINDS``, as ``netfs.trace/v1``. Raises KeyError for another."""
    (described,), components = msgspec.json.schema_components([KINDS[kind]], ref_template="#/$defs/{name}")
    document = components[KINDS[kind].__name__]
    document["properties"]["schema"] = {"const": kind}
    document["required"] = ["schema", *document.get("required", ())]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        **described,
        "$defs": dict(sorted(components.items())),
    }
