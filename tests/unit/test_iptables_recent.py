"""``-m recent``: a rule that asks who was seen before holds for nobody whom no list holds."""

from __future__ import annotations

import pytest

from netfs.datapath.netfilter import run_hook
from netfs.model.packet import Packet
from tests.unit.iptables_views import AHEAD, TCP, TCP6, VERDICTS, table
from tests.unit.netfilter_views import view

LISTED = "KNOWN src=10.244.1.2 ttl: 64 last_seen: 4298215591 oldest_pkt: 1 4298215591\n"
LISTED += "KNOWN src=fd00:0000:0000:0000:0000:0000:0000:0002 ttl: 0 last_seen: 1 oldest_pkt: 1 1\nEMPTY\n"


def holds(match: str, packet: Packet = TCP, recent: str | None = LISTED) -> bool | None:
    """Whether ``-m recent`` holds; None: it cannot be known."""
    field = "ip6tables_legacy" if packet.family == 6 else "iptables_legacy"
    texts = {field: table("filter", f"-A FORWARD -m recent {match} -j DROP")}
    made = view(**texts, **({} if recent is None else {"recent": recent}))  # type: ignore[arg-type]
    return VERDICTS[run_hook(made, "forward", packet, AHEAD).verdict]


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        ("--rcheck --name EMPTY", False),
        ("--rcheck --seconds 10800 --reap --name EMPTY --mask 255.255.255.255 --rsource", False),
        ("--update --name EMPTY", False),
        ("! --rcheck --name EMPTY", True),
        ("--rcheck --name KNOWN", None),
        ("! --rcheck --name KNOWN", None),
        ("--rcheck --name KNOWN --rdest", False),
        ("--rcheck --name NOBODY-READ", None),
        ("--rcheck --name EMPTY --mask 255.255.0.0", None),
        ("--set --name KNOWN", True),
        ("--set --name EMPTY", True),
        ("! --set --name EMPTY", False),
        ("--name EMPTY", None),
    ],
)
def test_who_is_on_no_list_was_not_seen_before(match: str, wanted: bool | None) -> None:
    """For how long somebody stays on one is not followed."""
    assert holds(match) is wanted


def test_addresses_are_compared_whatever_their_form() -> None:
    """The kernel writes out every zero of an IPv6 address."""
    assert holds("--rcheck --name KNOWN", TCP6) is None
    assert holds("--rcheck --name EMPTY", TCP6) is False


def test_lists_that_nobody_read_leave_it_open() -> None:
    assert holds("--rcheck --name EMPTY", recent=None) is None
    assert holds("--set --name EMPTY", recent=None) is True


@pytest.mark.parametrize("text", ["", "\n\n", "A src=\nA src=nowhere ttl\nA\n", "\x00 src=10.244.1.2"])
def test_lists_that_are_none_raise_nothing(text: str) -> None:
    assert holds("--rcheck --name A", recent=text) in (False, None)


def test_a_packet_is_on_the_list_it_was_just_put_on() -> None:
    def verdict(check: str) -> str:
        rules = ("-A FORWARD -m recent --set --name EMPTY", f"-A FORWARD -m recent {check} -j DROP")
        made = view(iptables_legacy=table("filter", *rules), recent=LISTED)
        return run_hook(made, "forward", TCP, AHEAD).verdict

    assert verdict("--rcheck --seconds 60 --name EMPTY") == "drop"
    assert verdict("--update --seconds 30 --hitcount 6 --name EMPTY") == "accept"
    assert verdict("--update --hitcount 6 --name KNOWN") == "unknown"
