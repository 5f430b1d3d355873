"""The kernel's counters: /proc/net/{snmp,netstat,snmp6,softnet_stat}, each as ``Group.Name``.

Counters that stand at zero are left out: one that is missing is zero, unless a gap says that its file could not
be read. Where /proc has no such file, the kernel does not count: snmp6 without IPv6.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

FILES = ("snmp", "netstat", "snmp6")


@lru_cache(maxsize=64)
def _names(header: bytes) -> tuple[str, ...]:
    group, _, names = header.partition(b":")
    return tuple(f"{group.decode('ascii', 'replace')}.{name.decode('ascii', 'replace')}" for name in names.split())


@lru_cache(maxsize=4096)
def decode_pairs(data: bytes) -> Mapping[str, int]:
    """A file of line pairs: names, then values (snmp, netstat)."""
    lines = data.split(b"\n")
    found: dict[str, int] = {}
    for header, values in zip(lines[::2], lines[1::2], strict=False):
        for name, value in zip(_names(header), values.split()[1:], strict=False):
            if value != b"0":
                found[name] = _integer(value)
    return found


@lru_cache(maxsize=4096)
def decode_snmp6(data: bytes) -> Mapping[str, int]:
    """A file of ``Ip6InReceives 12`` lines, as ``Ip6.InReceives``."""
    words = data.split()
    pairs = zip(words[::2], words[1::2], strict=False)
    return {_name6(name): _integer(value) for name, value in pairs if value != b"0"}


@lru_cache(maxsize=1024)
def _name6(name: bytes) -> str:
    group, _, rest = name.decode("ascii", "replace").partition("6")
    return f"{group}6.{rest}"


def decode_softnet(data: bytes) -> dict[str, int]:
    """Packets processed, dropped for a full backlog, and rounds cut short, summed over CPUs."""
    sums = {"softnet.processed": 0, "softnet.dropped": 0, "softnet.time_squeeze": 0}
    for line in data.split(b"\n"):
        words = line.split()
        for name, word in zip(sums, words, strict=False):
            sums[name] += int(word, 16)
    return sums


def _integer(value: bytes) -> int:
    try:
        return int(value)
    except ValueError:
        return 0
