"""``netfs layers usage``: the layers as a tree of what stands on what, with sizes; then the chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netfs.model.layer_answers import ChainUsage, LayerUsage, Usage
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import brief, made_by, names, short, size, tail
from netfs_cli.render.prose import count
from netfs_cli.render.table import table


def render(answer: Usage, ink: Ink, *, wide: bool) -> str:
    """Each layer once, below it what is built on it; then what each chain costs and wastes."""
    orphaned = f", {size(answer.orphaned)} of them nobody's (netfs layers orphans)" if answer.orphaned else ""
    lines = [ink.bold(f"{size(answer.bytes)} in {count(len(answer.layers), 'layer')}") + orphaned, ""]
    if answer.chains:
        trees = [*_trees(answer, ink, wide)] if answer.layers else []
        lines += [*trees, *([""] if trees else []), table(*_table(answer, wide), ink).rstrip("\n")]
    if answer.findings:
        lines += ["", *findings.findings(answer.findings, ink, None)]
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)])


def _table(answer: Usage, wide: bool) -> tuple[list[str], list[list[str | int | None]]]:
    heads = ["KIND", "NAME", "BYTES", "OWN", "SHARED", "WASTED", "EFFICIENCY"] + (["STORE", "NODE"] if wide else [])
    rows = []
    for each in sorted(answer.chains, key=lambda each: (-each.bytes, each.chain.name)):
        chain = each.chain
        row: list[str | int | None] = [
            chain.kind,
            _shown(chain.name, wide),
            size(each.bytes),
            size(chain.own),
            size(chain.shared),
        ]
        row += [size(each.wasted), f"{each.efficiency:.1%}"] + ([chain.store, chain.node] if wide else [])
        rows.append(row)
    return heads, rows


def _trees(answer: Usage, ink: Ink, wide: bool) -> Iterator[str]:
    """A tree for each store, below its folder where there are several."""
    stores: dict[tuple[str, str], list[ChainUsage]] = {}
    for usage in answer.chains:
        stores.setdefault((usage.chain.node, usage.chain.store), []).append(usage)
    for number, ((node, path), chains) in enumerate(stores.items()):
        held = {layer.id: layer for layer in answer.layers if layer.node == node and layer.store == path}
        if len(stores) > 1:
            total = size(sum(layer.own.bytes for layer in held.values()))
            yield from [""] * bool(number)
            yield f"{ink.bold(printable(path))}" + (f" on {printable(node)}" if node else "") + f"  {total}"
        yield from _tree(chains, held, ink, wide)


def _tree(chains: Sequence[ChainUsage], layers: Mapping[str, LayerUsage], ink: Ink, wide: bool) -> Iterator[str]:
    """What stands on what. Without recursion: a chain may have hundreds of layers."""
    above: dict[str, list[str]] = {}
    ends: dict[str, list[str]] = {}
    for usage in chains:
        chain = [layer for layer in usage.chain.layers if layer in layers]
        if not chain:
            continue
        ends.setdefault(chain[0], []).append(usage.chain.name)
        for upper, below in zip(chain, [*chain[1:], ""], strict=True):
            if upper not in above.setdefault(below, []):
                above[below].append(upper)
    tee, corner, bar = ("├─ ", "└─ ", "│  ") if ink.unicode else ("|- ", "`- ", "|  ")
    pending = [(layer, "", "") for layer in _lightest(layers, above.get("", ()))]
    seen: set[str] = set()
    while pending:
        identity, branch, stem = pending.pop()
        if identity in seen:
            continue
        seen.add(identity)
        yield _line(layers[identity], branch, ends.get(identity, ()), ink, wide)
        children = _lightest(layers, above.get(identity, ()))
        # One alone stands in line with what it is built on: else long chains run off the screen.
        alone = len(children) == 1 and identity not in ends
        for number, child in enumerate(children):
            fork, below = (corner, "   ") if number == 0 else (tee, bar)
            pending.append((child, stem, stem) if alone else (child, stem + fork, stem + below))


def _lightest(layers: Mapping[str, LayerUsage], found: Sequence[str]) -> list[str]:
    """In reverse of the order in which they are shown."""
    return sorted(found, key=lambda layer: (layers[layer].own.bytes, layer))


def _shown(name: str, wide: bool) -> str:
    return printable(name) if wide else brief(name)


def _line(layer: LayerUsage, branch: str, ends: Sequence[str], ink: Ink, wide: bool) -> str:
    line = f"{size(layer.own.bytes):>9}  {branch}{ink.bold(short(layer.id))}  {printable(layer.role)}"
    told = [_shown(name, wide) for name in ends if name not in (layer.id, short(layer.id))]
    if told:
        line += "  " + names(told, 100 if wide else 3)
    if layer.created_by:
        line += ink.dim(f"  {made_by(layer.created_by, None if wide else 60)}")
    return line + (ink.dim(f"  {printable(layer.path)}") if wide else "")
