"""What nobody owns in a store, and what is broken in it. Told from the records alone; nothing is ever removed."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from shlex import quote

from netfs.model.findings import Finding
from netfs.model.layers import OWNERS, Layer, Mount, Store
from netfs.overlay.chains import Chain, key, short

UNOWNED = {
    "unknown": "no image, container or snapshot names it",
    "temporary": "its engine began it and did not finish",
    "removing": "its engine began to remove it and did not finish",
}
PRUNE = {
    "docker": "none of Docker's commands removes it (moby issue 45939): with dockerd stopped, a person may",
    "containerd": "restart containerd: its garbage collector takes it",
    "containers-storage": "podman system check --repair, in Podman 5.2 and later; podman system prune --external",
}
"""What an engine has for what nobody owns."""
RESTART = "restart the engine: it finishes what it began"
"""For what it was removing."""


def orphans(
    store: Store, used: Mapping[tuple[str, str, str], object], mounts: Mapping[str, Mount]
) -> Iterator[tuple[Layer, str]]:
    """Layers that nobody owns, with the reason. ``used``: as ``chains.users``; ``mounts``: by ``Layer.id``.

    None where the store's owners could not be read: that nobody is known is no evidence then.
    """
    if undecided(store) or store.engine == "mounts":
        return
    below: set[str] = set()
    for layer in store.layers:
        if layer.role not in UNOWNED or layer.id in mounts:
            below |= {layer.id, *(layer.lower or ())}
    for layer in store.layers:
        if layer.role in UNOWNED and layer.id not in below and key(store, layer) not in used and not layer.missing:
            yield layer, UNOWNED[layer.role]


def undecided(store: Store) -> str:
    """Why the owners of a store's layers cannot be told; empty: they can."""
    return next((gap.reason for gap in store.gaps if gap.what == OWNERS), "")


def findings(
    store: Store,
    found: Sequence[Chain],
    unowned: Iterable[tuple[Layer, str]],
    on_host: Callable[[str], str] = str,
) -> Iterator[Finding]:
    """Everything that is wrong with a store, as findings of group O of the catalogue. ``on_host``: what this host calls
    a path of the store.
    """
    yield from _missing(store, found)
    yield from _links(store, on_host)
    for layer, why in unowned:
        fix = RESTART if layer.role == "removing" else PRUNE.get(store.engine, "")
        yield _finding(store, "layer-orphan", "info", on_host(layer.path), why, fix)


def _missing(store: Store, found: Sequence[Chain]) -> Iterator[Finding]:
    for chain in found:
        if chain.kind in ("layer", "mount"):
            continue  # nobody needs what it lacks; what is mounted is there, if not below this root
        owner = f"{chain.kind} {chain.name}"
        again = (
            f"remove and pull {chain.name} again" if chain.kind == "image" else "remove it, and pull its image again"
        )
        if chain.missing:
            gone = ", ".join(short(identity) for identity in chain.missing[:4])
            more = f" and {len(chain.missing) - 4} more" if len(chain.missing) > 4 else ""
            yield _finding(store, "layer-lower-missing", "error", owner, f"{gone}{more} not there", again)
        elif not chain.complete:
            evidence = "the file that names the layers below it cannot be read"
            yield _finding(store, "layer-lower-missing", "error", owner, evidence, again)


def _links(store: Store, on_host: Callable[[str], str]) -> Iterator[Finding]:
    layers = {layer.id: layer for layer in store.layers if not layer.missing}
    # An additional store's layers have their links there.
    own = [layer for layer in layers.values() if layer.path.startswith(f"{store.path.rstrip('/')}/")]
    folder = next((on_host(f"{posixpath.dirname(layer.path)}/l") for layer in own), "l")
    needless = "no layer needs it: with the engine stopped it may be removed"
    for name, said in sorted(store.links.items()):
        parts = said.split("/")
        leads = parts[1] if len(parts) == 3 and parts[0] == ".." else ""
        if leads not in layers:
            yield _finding(
                *(store, "layer-link-dangling", "warning", f"{folder}/{name}"),
                *(f"it leads to {said}, and there is none", needless),
            )
        elif layers[leads].short not in ("", name):
            evidence = f"it leads to {short(leads)}, whose own link is {layers[leads].short}"
            yield _finding(store, "layer-link-dangling", "warning", f"{folder}/{name}", evidence, needless)
    for layer in own:
        if layer.short and layer.short not in store.links and store.links:
            evidence = f"its link l/{layer.short} is not there"
            fix = f"ln -s {quote(f'../{layer.id}/diff')} {quote(f'{folder}/{layer.short}')}"
            yield _finding(store, "layer-link-dangling", "warning", on_host(layer.path), evidence, fix)


def _finding(store: Store, slug: str, severity: str, subject: str, evidence: str, fix: str) -> Finding:
    where = subject if not store.node or subject.startswith("/") else f"{store.node}/{subject}"
    return Finding(slug, severity, where, evidence, fix, node=store.node)
