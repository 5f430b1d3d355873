"""The name of a stack of image layers, which engines file it under."""

from __future__ import annotations

import hashlib


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ChainID of each layer, oldest first (OCI image-spec, config.md: ``Digest(chain + " " + diff)``)."""
    chains: list[str] = []
    for diff in diff_ids:
        text = f"{chains[-1]} {diff}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else diff)
    return tuple(chains)
