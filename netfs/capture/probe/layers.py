"""scapy's header classes, imported once, quietly, and without a look at this machine.

scapy lists interfaces and routes while it is imported, so that it can send. Nothing here sends by scapy: the routes,
which may be a million on a node, are left alone. Who sends by scapy in the same process asks for them himself:
``conf.route.resync()``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple


class Layers(NamedTuple):
    """Header classes by the name that scapy gives them."""

    Ether: Any
    IP: Any
    IPv6: Any
    ICMP: Any
    ICMPv6EchoRequest: Any
    TCP: Any
    UDP: Any
    GRE: Any
    VXLAN: Any
    GENEVE: Any


@cache
def layers() -> Layers:
    """The classes; the first call takes about 0.2 s."""
    with _quietly():
        from scapy.contrib.geneve import GENEVE
        from scapy.layers.inet import ICMP, IP, TCP, UDP
        from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
        from scapy.layers.l2 import GRE, Ether
        from scapy.layers.vxlan import VXLAN
    return Layers(Ether, IP, IPv6, ICMP, ICMPv6EchoRequest, TCP, UDP, GRE, VXLAN, GENEVE)


@contextmanager
def _quietly() -> Iterator[None]:
    """Warnings about this machine (no address on lo, no libpcap) say nothing to who asked for a trace."""
    loading = logging.getLogger("scapy.loading")
    runtime = logging.getLogger("scapy.runtime")
    before = loading.disabled, runtime.disabled
    loading.disabled = runtime.disabled = True
    try:
        with _without_routes():
            yield
    finally:
        loading.disabled, runtime.disabled = before


@contextmanager
def _without_routes() -> Iterator[None]:
    """``Route()`` reads the routes when its module is imported, unless told otherwise (scapy 2.6). Where somebody
    imported it before, it is his.
    """
    if "scapy.route" in sys.modules:
        yield
        return
    from scapy.config import conf

    before = {name: getattr(conf, name) for name in ("route_autoload", "route6_autoload") if hasattr(conf, name)}
    try:
        for name in before:
            setattr(conf, name, False)
        yield
    finally:
        for name, value in before.items():
            setattr(conf, name, value)
