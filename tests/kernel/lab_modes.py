"""Labs with Services, by the modes that kube-proxy may run in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

import netfs
import netfs.lab
from netfs.lab.state import LabState

MODES = {"iptables": "iptables-nft-restore", "iptables-legacy": "iptables-legacy-restore", "nftables": "nft"}
"""What loads the rules of each."""


@contextmanager
def served(name: str, mode: str, services: Sequence[str], require_program: Callable[[str], str]) -> Iterator[LabState]:
    """A lab of both families with these Services; skips where the mode's program, or the kernel's part, is missing."""
    require_program(MODES[mode])
    try:
        made = netfs.lab.up(name, ipv6=True, proxy=mode, services=services)
    except netfs.LabError as error:
        if mode != "iptables-legacy":
            raise
        pytest.skip(f"this kernel has no legacy iptables: {error}")
    try:
        yield made
    finally:
        netfs.lab.down(name)
