"""What a station is told to do. Named tuples: they are carried by ``marshal``-able types alone."""

from __future__ import annotations

from typing import NamedTuple


class Post(NamedTuple):
    """A namespace to listen in: every device of it, those that appear later too (packet(7), ``sll_ifindex`` 0)."""

    path: str
    """An nsfs file it can be opened by."""
    inode: int
    """``NetNs.id``; a path that leads elsewhere by now is refused."""


class Datagram(NamedTuple):
    """What is handed to a raw socket: the kernel makes the IP header, routes it, and runs its OUTPUT hooks."""

    number: int
    data: bytes
    """Transport header and payload."""


class Sender(NamedTuple):
    """The probe, sent from one of the posts' namespaces."""

    post: int
    """Index into the order's posts."""
    family: int
    """4 or 6."""
    protocol: int
    """IANA number: 1, 6, 17, 58."""
    source: str
    """The address to send from; empty: the kernel chooses."""
    destination: str
    datagrams: tuple[Datagram, ...]
    interval_s: float
    df: bool | None
    """True: never fragment, not even here. False: without Don't Fragment. None: as the kernel does by default
    (IP_PMTUDISC_WANT; for a raw IPv4 socket set explicitly)."""
    port: int | None = None
    """A source port to hold while the probe is under way: no other socket takes it, and, for UDP, answers are taken in
    silently instead of being refused by ICMP."""
    crafted: str = ""
    """The source address that the datagrams' checksums are for; where the kernel chooses another, they are mended.
    Empty: they are right as they are."""


class Tracing(NamedTuple):
    """Kernel events to listen for: ``skb:kfree_skb``, ``net:netif_receive_skb``, ``net:net_dev_start_xmit``."""

    shortest: int
    """Bytes of the shortest and the longest packet of the probe, IP header included."""
    longest: int
    overhead: int = 200
    """Bytes that tunnels and link-layer headers may add."""


class Order(NamedTuple):
    """Everything a station does."""

    posts: tuple[Post, ...]
    program: bytes = b""
    """Classic BPF, ``struct sock_filter`` after ``struct sock_filter``; empty: every packet."""
    snaplen: int = 262144
    """Bytes kept of a frame at most, whatever the program returns."""
    tracing: Tracing | None = None
    """Of one station of each kernel. What is lost before any tap is tied to a probe by the station that sends."""
    sender: Sender | None = None
    userns_pid: int | None = None
    """A process of the user namespace to enter first; None: stay."""
    room: int = 2 << 20
    """Bytes the kernel may fill for each post while nobody reads; what comes beyond is counted, and lost."""
