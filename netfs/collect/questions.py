"""Who listens, as questions: sock_diag (include/uapi/linux/inet_diag.h), else the tables of /proc/net.

sock_diag's handlers are modules that the kernel would load on the question, so it is asked only where they
are there already; the text tables answer without them.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP
from struct import Struct

SOCK_DIAG_BY_FAMILY = 20
TCP_CLOSE, TCP_LISTEN = 7, 10
REQUEST = Struct("=BBBxI48x")
PROTOS = {"tcp": (IPPROTO_TCP, TCP_LISTEN), "udp": (IPPROTO_UDP, TCP_CLOSE)}
FAMILIES = {4: AF_INET, 6: AF_INET6}

QUESTIONS = tuple(
    (f"{proto}{family}", REQUEST.pack(FAMILIES[family], PROTOS[proto][0], 0, 1 << PROTOS[proto][1]))
    for proto in ("tcp", "udp")
    for family in (4, 6)
)
"""(name of the dump, its request's body)."""
TABLES = {"tcp4": "tcp", "tcp6": "tcp6", "udp4": "udp", "udp6": "udp6"}
"""The file of /proc/net that says the same."""
