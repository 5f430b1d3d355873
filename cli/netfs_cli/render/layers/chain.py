"""``netfs layers show``: a chain from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.layer_answers import ChainRef, ChainShown, LayerShown
from netfs.model.layers import Account
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import directories, extent, made_by, names, short, size, tail
from netfs_cli.render.prose import count

ROLES = {
    "container": "the writable layer of",
    "init": "the init layer of",
    "image": "a layer of",
    "snapshot": "a snapshot's layer, held by",
    "build": "a builder's layer, kept for",
}


def render(answer: ChainShown, ink: Ink, *, wide: bool) -> str:
    """Whose it is, then each layer with what it adds, changes and hides. ``wide``: paths, digests and every user."""
    lines = [*_whose(answer, ink), ""]
    total = sum(layer.account.own.bytes for layer in answer.layers if layer.account)
    hidden = sum(part.bytes for layer in answer.layers if layer.account for part in layer.account.hides.values())
    summary = f"{count(len(answer.layers), 'layer')}, {size(total)}"
    lines.append(ink.bold(summary + (f", of which {size(hidden)} are hidden by later layers" if hidden else "")))
    for place, layer in enumerate(answer.layers):
        last = place == len(answer.layers) - 1
        lines += _layer(answer, place, layer, ink, last=last, wide=wide)
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)])


def _whose(answer: ChainShown, ink: Ink) -> Iterator[str]:
    target = answer.target
    if target is None:
        yield ink.bold(f"{printable(answer.chain.kind)} {printable(answer.chain.name)}")
        yield from _facts(answer.chain, "", ink)
        return
    head = ink.bold(f"layer {short(target.id)}")
    if not answer.owners:
        yield f"{head} is nobody's: no image, container or snapshot has it"
    else:
        shown = [f"{owner.kind} {owner.name}" for owner in answer.owners]
        yield f"{head} is {ROLES.get(target.role, 'a layer of')} {names(shown, 4)}"
    yield from _facts(answer.owners[0] if len(answer.owners) == 1 else None, target.path, ink)


def _facts(chain: ChainRef | None, directory: str, ink: Ink) -> Iterator[str]:
    pairs = {"directory": directory} | (_owner(chain) if chain is not None else {})
    for word, value in pairs.items():
        if value:
            yield f"  {ink.dim(f'{word:<10}')}  {printable(value)}"


def _owner(chain: ChainRef) -> dict[str, str]:
    image = ", ".join(map(printable, chain.image_names)) or short(chain.image)
    return {
        "pod": f"{chain.namespace}/{chain.pod}" if chain.pod and chain.namespace else chain.pod,
        "image": image if chain.kind != "image" else short(chain.image),
        "id": chain.id if chain.kind == "container" else "",
        "state": chain.state,
        "store": f"{chain.store} ({chain.engine})" + (f" on {chain.node}" if chain.node else ""),
        "mounted at": chain.mountpoint,
    }


def _layer(answer: ChainShown, place: int, layer: LayerShown, ink: Ink, *, last: bool, wide: bool) -> Iterator[str]:
    branch, stem = ("└─ ", "   ") if last else ("├─ ", "│  ")
    if not ink.unicode:
        branch, stem = ("`- ", "   ") if last else ("|- ", "|  ")
    account = layer.account
    weight = (
        size(account.own.bytes) if account else ink.bad("missing") if layer.id in answer.chain.missing else "not read"
    )
    line = f"{branch}{ink.bold(short(layer.id))}  {printable(layer.role)}  {weight}"
    if layer.created_by:
        line += ink.dim(f"  {made_by(layer.created_by, None if wide else 72)}")
    yield line
    if layer.path and wide:
        yield stem + ink.dim(f"  {printable(layer.path)}" + (f"  l/{printable(layer.short)}" if layer.short else ""))
    if account is not None:
        for told in _does(answer, place, account):
            yield f"{stem}  {told}"
    if wide:
        for word, value in (("chain", layer.chain_id), ("diff", layer.diff_id), ("made", layer.created_at)):
            if value:
                yield f"{stem}  {ink.dim(f'{word:<5}')}  {printable(value)}"
    others = [name for name in layer.used_by if name != answer.chain.name]
    if others and answer.target is None:
        yield f"{stem}  {ink.dim('also of')} {names(others, 100 if wide else 3)}"


def _does(answer: ChainShown, place: int, account: Account) -> Iterator[str]:
    bottom = place == len(answer.layers) - 1
    added, changed = account.added, account.changed
    if added.files or added.directories:
        yield f"{'holds' if bottom else 'adds'} {extent(added)}"
    if changed.files or changed.directories:
        yield f"changes {extent(changed)}"
    for below, hidden in sorted(account.hides.items()):
        whose = short(answer.layers[place + below].id) if below else "itself"
        yield f"hides {extent(hidden)} of {whose}"
    marks = [count(account.whiteouts, "whiteout")] if account.whiteouts else []
    marks += [f"{account.opaque} opaque {directories(account.opaque).partition(' ')[2]}"] if account.opaque else []
    if marks:
        idle = f", {account.idle} of them hide{'s' if account.idle == 1 else ''} nothing" if account.idle else ""
        yield " and ".join(marks) + idle
    if not account.own.files and not account.own.directories and not marks:
        yield "empty"
