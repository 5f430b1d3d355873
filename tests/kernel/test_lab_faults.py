"""Every fault of the catalogue, broken and repaired in a real lab, with a real packet."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netfs.lab
from netfs.lab import faults, inside, member, probe
from netfs.lab.state import LabState
from tests.kernel.sampled import sampled

_PATIENCE = 0.25
"""Seconds to wait for an answer that should not come."""
_TRIES = 4
"""How often one that should come is asked for, 2 seconds each: a port that was just made may miss the first packet."""

_TABLES = ("link show", "address show", "route show table all", "rule show", "neighbour show nud permanent")
_SYSCTLS = ("rp_filter", "forwarding", "arp_ignore", "route_localnet", "accept_local")


@pytest.fixture(scope="module")
def labs() -> Iterator[Callable[[faults.Fault], LabState]]:
    """The lab that a fault needs: one for all faults that need the same."""
    running: dict[str, LabState] = {}

    def fitting(fault: faults.Fault) -> LabState:
        wanted = repr(fault.lab)
        if wanted not in running:
            running[wanted] = netfs.lab.up(f"faults-{os.getpid()}-{len(running)}", ipv6=True, **fault.lab)
            _await_carrier(running[wanted])
            _await_addresses(running[wanted])
        return running[wanted]

    try:
        yield fitting
    finally:
        for state in running.values():
            netfs.lab.down(state.name)


def _await_carrier(lab: LabState) -> None:
    """A bridge that has just got its first port is ``UNKNOWN`` for up to a second."""
    for _ in range(30):
        if inside.capture(lab, lab.fabric, Path("/sys/class/net/underlay/operstate").read_text) == "up\n":
            return
        time.sleep(0.1)


def _await_addresses(lab: LabState) -> None:
    """A link-local address is ``tentative`` until nobody has claimed it (RFC 4862 section 5.4), about a second."""

    def tentative() -> str:
        return member.run(["ip", "-6", "-o", "address", "show", "tentative"], "").stdout

    deadline = time.monotonic() + 5.0
    while any(inside.capture(lab, one, tentative) for one in lab.members) and time.monotonic() < deadline:
        time.sleep(0.1)


def _answered(lab: LabState, fault: faults.Fault, patience: float, address: str | None = None) -> bool:
    sent = fault.probe
    return probe.answered(
        lab,
        sent.src,
        address or sent.planned(lab),
        proto=sent.proto,
        port=sent.port,
        sport=sent.sport,
        size=sent.size,
        timeout=patience,
    )


def _answers(lab: LabState, fault: faults.Fault) -> bool:
    return any(_answered(lab, fault, 2.0) for _ in range(_TRIES))


def _configuration(lab: LabState, name: str) -> list[str]:
    """What an operator configured in a member: indexes, ages, counters and learned entries left out."""

    def work() -> str:
        lines: list[str] = []
        for family in ("-4", "-6"):
            argv = ["ip", family, "-o", "-d", "-batch", "-"]
            lines += sorted(member.run(argv, "\n".join(_TABLES)).stdout.splitlines())
        lines += member.run(["bridge", "fdb", "show"], "").stdout.splitlines()
        for key in _SYSCTLS:
            for device in sorted(os.listdir("/proc/sys/net/ipv4/conf")):
                with open(f"/proc/sys/net/ipv4/conf/{device}/{key}", encoding="ascii") as file:
                    lines.append(f"{device} {key} {file.read().strip()}")
        if shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin"):
            lines += member.run(["nft", "list", "ruleset"], "").stdout.splitlines()
        return "\n".join(lines)

    text = inside.capture(lab, lab.member(name), work)
    text = re.sub(r"@if\d+", "", re.sub(r"^\d+: ", "", text, flags=re.MULTILINE))
    text = re.sub(r"\b\w*timer\s+\S+", "", text)
    text = re.sub(r"\bcounter packets \d+ bytes \d+", "counter", text)
    text = re.sub(r"\b(link-netnsid|port_id|port_no|designated_port|expires|numtxqueues) \S+", "", text)
    learned = re.compile(r"master \S+ *$")
    return sorted(line for line in text.splitlines() if not learned.search(line))


def _differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    gone = [f"{name} - {line}" for name, lines in before.items() for line in lines if line not in after[name]]
    come = [f"{name} + {line}" for name, lines in after.items() for line in lines if line not in before[name]]
    return gone + come


def _settled_differences(lab: LabState, before: dict[str, list[str]]) -> list[str]:
    """Carrier changes are told about once a second (``net/core/link_watch.c``)."""
    deadline = time.monotonic() + 4.0
    while True:
        after = {one.name: _configuration(lab, one.name) for one in lab.members}
        found = _differences(before, after)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


@pytest.mark.parametrize("slug", sampled(sorted(faults.catalogue())))
def test_fault_harms_as_declared_and_repair_undoes_it_exactly(
    labs: Callable[[faults.Fault], LabState], slug: str
) -> None:
    fault = faults.catalogue()[slug]
    for tool in sorted(fault.tools):
        if shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin") is None:
            pytest.skip(f"{tool} is not installed")
    lab = labs(fault)
    assert _answers(lab, fault), "healthy before"
    before = {one.name: _configuration(lab, one.name) for one in lab.members}
    netfs.lab.break_fault(lab.name, slug)
    try:
        assert netfs.lab.status(lab.name).broken == (slug,)
        assert netfs.lab.status(lab.name).planned == lab.planned
        assert _answered(lab, fault, _PATIENCE, fault.probe.address) is not fault.lost
    finally:
        netfs.lab.repair(lab.name, slug)
    assert netfs.lab.status(lab.name).kubernetes == lab.planned
    assert _answers(lab, fault), "healthy after"
    assert _settled_differences(lab, before) == []
