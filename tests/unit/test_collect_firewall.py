"""Which firewall tools are started is decided by what the namespace holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netfs.collect import conntrack, firewall
from netfs.collect.netlink import NETLINK_NETFILTER, Netlink
from netfs.collect.read import Raw, Reader

HEADINGS = (
    b"IP Virtual Server version 1.2.1 (size=4096)\n"
    b"Prot LocalAddress:Port Scheduler Flags\n"
    b"  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
)
SERVER = b"TCP  0A600001:0050 rr  \n  -> 0AF40105:1F90      Masq    1      0          0         \n"
SAVED = "-A -t 10.96.0.1:80 -s rr\n-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -m -w 1\n"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> firewall.Parts:
    """A kernel that has IPVS and nothing else of netfilter."""
    parts = firewall.Parts()
    parts.nft = parts.ipset = parts.conntrack = False
    parts.legacy = ()
    parts.ipvs = True
    monkeypatch.setitem(firewall.COMMANDS, "ipvs", ("printf", "%b", SAVED))
    return parts


def table(content: bytes) -> Callable[[str], bytes]:
    def file(name: str) -> bytes:
        assert name == "ip_vs"
        return content

    return file


def test_virtual_servers_are_read_where_there_are_some(parts: firewall.Parts) -> None:
    gaps: list[tuple[str, str]] = []
    assert firewall.read_firewall(None, parts, table(HEADINGS + SERVER), gaps) == {"ipvs": SAVED}
    assert gaps == []


def test_nothing_is_started_where_there_is_no_virtual_server(
    parts: firewall.Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(firewall.COMMANDS, "ipvs", ("no-such-program",))
    gaps: list[tuple[str, str]] = []
    assert firewall.read_firewall(None, parts, table(HEADINGS), gaps) == {}
    assert gaps == []


def test_virtual_servers_without_their_program_are_a_gap(
    parts: firewall.Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(firewall.COMMANDS, "ipvs", ("no-such-program",))
    gaps: list[tuple[str, str]] = []
    assert firewall.read_firewall(None, parts, table(HEADINGS + SERVER), gaps) == {}
    assert gaps == [("ipvs", "its state is there, but the program no-such-program is not installed")]


def test_a_table_that_is_kept_from_us_is_a_gap(parts: firewall.Parts) -> None:
    def file(_: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    gaps: list[tuple[str, str]] = []
    assert firewall.read_firewall(None, parts, file, gaps) == {}
    assert gaps == [("ipvs", "Permission denied")]


SAVE = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
UNTOLD = "# Table `filter' contains incompatible base-chains, use 'nft' tool to list them.\n"


@pytest.mark.parametrize(
    ("saved", "others", "asked"),
    [
        (SAVE, False, {"iptables"}),
        (SAVE, True, {"iptables", "nft"}),
        (SAVE + UNTOLD, False, {"iptables", "nft"}),
        ("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", False, {"iptables", "nft"}),
        (None, False, {"nft"}),
    ],
    ids=("all told", "a table of nft's", "a chain of nft's", "a table is missing", "no iptables-save"),
)
def test_nft_is_asked_where_iptables_does_not_tell_everything(
    saved: str | None, others: bool, asked: set[str], parts: firewall.Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.nft, parts.ipvs = True, False
    monkeypatch.setattr(firewall, "_held", lambda _: firewall._Tables({"iptables": {"filter", "nat"}}, others))
    monkeypatch.setitem(firewall.COMMANDS, "nft", ("printf", "%s", "{}"))
    program = ("printf", "%s", saved) if saved is not None else ("no-such-program",)
    monkeypatch.setitem(firewall.COMMANDS, "iptables", program)
    gaps: list[tuple[str, str]] = []
    with Netlink(NETLINK_NETFILTER, bytearray(1 << 16)) as netfilter:
        found = firewall.read_firewall(netfilter, parts, table(b""), gaps)
    assert set(found) == asked
    assert bool(gaps) == (saved is None)


def read_with(tracked: int | None, *, listing: bool) -> tuple[Raw, list[str]]:
    """What a reader asks in a namespace with so many tracked connections."""
    asked: list[str] = []

    def read_connections(*_: object) -> bytes:
        asked.append("connections")
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conntrack, "read_connections", read_connections)
        reader = Reader()
        try:
            reader._netfilter.conntrack = listing
            sysctls = {} if tracked is None else {"net.netfilter.nf_conntrack_count": tracked}
            raw = Raw(id=1, dumps={}, files={}, sysctls=sysctls, firewall={}, gaps=[])
            reader._connections(raw)
        finally:
            reader.close()
    return raw, asked


@pytest.mark.parametrize("tracked", [None, 0])
def test_connections_are_not_asked_for_where_none_is_tracked(tracked: int | None) -> None:
    raw, asked = read_with(tracked, listing=True)
    assert (asked, raw["gaps"]) == ([], [])


def test_connections_are_asked_for_where_some_are_tracked() -> None:
    assert read_with(3, listing=True)[1] == ["connections"]


def test_no_part_of_the_kernel_is_loaded_to_list_connections() -> None:
    raw, asked = read_with(3, listing=False)
    assert asked == []
    assert [what for what, _ in raw["gaps"]] == ["connections"]
