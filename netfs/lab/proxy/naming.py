"""The names that kube-proxy gives to chains and sets.

kubernetes/kubernetes ``pkg/proxy/iptables/proxier.go`` (``portProtoHash``, ``servicePortEndpointChainName``) and
``pkg/proxy/nftables/proxier.go`` (``servicePortChainNameBase``, ``hashAndTruncate``).
"""

from __future__ import annotations

import base64
import hashlib

_LONGEST = 240
"""What nftables leaves of a name's 255 characters beside the longest prefix (``chainNameBaseLengthMax``)."""


def port_name(namespace: str, service: str, port: str) -> str:
    """A Service's port as kube-proxy tells it: ``default/web:http``; ``default/web`` where the port has no name."""
    return f"{namespace}/{service}:{port}" if port else f"{namespace}/{service}"


def iptables_service(prefix: str, port: str, protocol: str) -> str:
    """``KUBE-SVC-…`` and its like; ``prefix`` is SVC, SVL, EXT or FW, ``port`` a ``port_name``."""
    return f"KUBE-{prefix}-{_digest(port + protocol)[:16]}"


def iptables_endpoint(port: str, protocol: str, endpoint: str) -> str:
    """``KUBE-SEP-…``; ``endpoint`` is ``address:port``."""
    return f"KUBE-SEP-{_digest(port + protocol + endpoint)[:16]}"


def nftables_service(namespace: str, service: str, protocol: str, port: str) -> str:
    """What follows ``service-``, ``local-``, ``external-`` or ``firewall-`` in the name of a chain."""
    return _shortened(f"{namespace}/{service}/{protocol}/{port}")


def nftables_endpoint(namespace: str, service: str, protocol: str, port: str, address: str, number: int) -> str:
    """What follows ``endpoint-`` or ``affinity-``; a name holds no colon, so IPv6 is written with dots."""
    return _shortened(f"{namespace}/{service}/{protocol}/{port}__{address.replace(':', '.')}/{number}")


def _shortened(name: str) -> str:
    full = f"{_digest(name)[:8]}-{name}"
    return full if len(full) <= _LONGEST else full[: _LONGEST - 3] + "..."


def _digest(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
