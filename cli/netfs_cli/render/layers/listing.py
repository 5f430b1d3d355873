"""``netfs layers ls``: chains as a table."""

from __future__ import annotations

import re

from netfs.model.layer_answers import ChainRef, Layers
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import short, size, tail
from netfs_cli.render.table import table

LONG = re.compile(r"[0-9a-f]{64}")
"""An id within a path: wide shows it whole."""
MISSING = "missing"


def render(answer: Layers, ink: Ink, *, wide: bool) -> str:
    """A row for each chain: what it is, its image, its layers, what is its own and what it shares."""
    several = len({chain.node for chain in answer.chains}) > 1
    heads = ["KIND", "NAME", "IMAGE", "LAYERS", "OWN", "SHARED", "STATE"]
    heads += ["NODE"] if several else []
    heads += ["ENGINE", "STORE", "ID", "TOP", "MOUNTED"] if wide else []
    rows = []
    for chain in answer.chains:
        name = chain.name if wide else LONG.sub(lambda found: found[0][:12] + "…", chain.name)
        row: list[str | int | None] = [chain.kind, name, _image(chain), len(chain.layers)]
        row += [
            size(chain.own),
            size(chain.shared),
            f"{len(chain.missing)} {MISSING}" if chain.missing else chain.state,
        ]
        row += [chain.node] if several else []
        top = chain.layers[0] if chain.layers else ""
        row += [chain.engine, chain.store, short(chain.id), short(top), chain.mountpoint] if wide else []
        rows.append(row)
    return table(heads, rows, ink) + "\n".join(tail(answer.notes, answer.gaps, ink))


def _image(chain: ChainRef) -> str:
    if chain.kind == "image":
        return short(chain.image)
    return next(iter(chain.image_names), short(chain.image))
