"""``netfs layers ls``: chains as a table."""

from __future__ import annotations

from netfs.model.layer_answers import ChainRef, Layers
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import brief, short, size, tail
from netfs_cli.render.table import table


def render(answer: Layers, ink: Ink, *, wide: bool) -> str:
    """A row for each chain: what it is, its image, its layers, what is its own and what it shares."""
    if not answer.chains:
        return "\n".join(["there is no container, image or mount", *tail(answer.notes, answer.gaps, ink)])
    several = len({chain.node for chain in answer.chains}) > 1
    heads = ["KIND", "NAME", "IMAGE", "LAYERS", "OWN", "SHARED", "STATE"]
    heads += ["NODE"] if several else []
    heads += ["ENGINE", "STORE", "ID", "TOP", "MOUNTED"] if wide else []
    rows = []
    for chain in answer.chains:
        name = chain.name if wide else brief(chain.name)
        row: list[str | int | None] = [chain.kind, name, _image(chain), len(chain.layers)]
        row += [size(chain.own), size(chain.shared), _state(chain)]
        row += [chain.node] if several else []
        top = chain.layers[0] if chain.layers else ""
        row += [chain.engine, chain.store, short(chain.id), short(top), chain.mountpoint] if wide else []
        rows.append(row)
    return table(heads, rows, ink) + "\n".join(tail(answer.notes, answer.gaps, ink))


def _state(chain: ChainRef) -> str:
    if chain.missing:
        return f"{len(chain.missing)} missing"
    return "untagged" if chain.kind == "image" and not chain.image_names else chain.state


def _image(chain: ChainRef) -> str:
    if chain.kind == "image":
        return short(chain.image)
    return next(iter(chain.image_names), short(chain.image))
