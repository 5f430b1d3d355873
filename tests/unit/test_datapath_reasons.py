"""Every name that a drop may have is told of: as the kernel's, as an error number's, or as netfs's own."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from netfs.datapath import reasons
from netfs.datapath.neighbour import STATES

DATAPATH = Path(reasons.__file__).parent
QUESTIONS = {"ARP_FILTERED", "ARP_IGNORED", "MARTIAN", "NOT_OWNER", "TENTATIVE"}
"""Ends of ARP and neighbour discovery: the packet itself is lost by NEIGH_FAILED."""
ELSEWHERE = {*STATES.values(), *QUESTIONS, "VLAN"}


def used() -> set[str]:
    """Whatever stands in quotes and looks like the name of a drop, in all that walks a packet."""
    files = [path for folder in (DATAPATH, DATAPATH / "routing") for path in folder.glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "reasons.py")
    return set(re.findall(r'"([A-Z][A-Z0-9_]{3,})"', text)) - ELSEWHERE


def test_every_name_is_told_of_and_none_that_is_not_used() -> None:
    told = {*reasons.KERNEL, *reasons.OWN, *reasons.ERRNOS}
    assert used() == told
    assert len(told) == len(reasons.KERNEL) + len(reasons.OWN) + len(reasons.ERRNOS)


def test_error_numbers_are_those_of_the_system() -> None:
    assert set(reasons.ERRNOS) <= set(errno.errorcode.values())


def test_words_are_about_names_that_are_used() -> None:
    for word in reasons.WORDS:
        assert any(word.fits(name, word.told, word.location.replace("*", "x")) for name in used()), word
    assert reasons.documented("BRIDGE_ISOLATED", "NOT_SPECIFIED", "br_handle_frame_finish")
    assert not reasons.documented("BRIDGE_ISOLATED", "NOT_SPECIFIED", "ip_error")
    assert not reasons.documented("PKT_TOO_BIG", "IP_INHDR", "ip_fragment")
