"""``netfs capture`` in a lab: what Wireshark reads of it, how it ends, and what it leaves."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netfs.lab
from netfs.lab import inside
from netfs.lab.state import LabState

LAB = f"capture-{os.getpid()}"
POD_A, POD_B = "10.244.1.2", "10.244.2.2"
Start = Callable[..., "subprocess.Popen[bytes]"]
Shark = Callable[..., list[list[str]]]


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    running = netfs.lab.up(LAB)
    try:
        yield running
    finally:
        netfs.lab.down(LAB)


@pytest.fixture
def start() -> Iterator[Start]:
    """Begin ``netfs capture`` with these arguments."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "netfs_cli", "capture", "--source", f"lab:{LAB}", *arguments]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def shark(require_program: Callable[[str], str]) -> Shark:
    """``shark(file, "frame.len", …)``: those fields of every packet, as tshark reads them."""
    program = require_program("tshark")

    def read(path: Path, *fields: str) -> list[list[str]]:
        wanted = [word for field in fields for word in ("-e", field)]
        # The lab's tunnels are flannel's: UDP 8472, which tshark takes for another protocol.
        command = [program, "-n", "-r", str(path), "-d", "udp.port==8472,vxlan", "-T", "fields", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [line.split("\t") for line in done.stdout.splitlines()]

    return read


def await_size(path: Path, least: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a file has grown: the header is written once everything is listened to."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size > least:
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"nothing is written: {process.communicate()}")


def ping(lab: LabState, count: int = 1, size: int = 56) -> None:
    command = ["ping", "-n", "-c", str(count), "-i", "0.05", "-s", str(size), "-W", "5", POD_B]
    assert inside.execute(lab.name, "pod-a", command) == 0


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Say Ctrl-C, once what was sent has been handed up: a terminal says it to every process in front."""
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=15)
    return process.returncode, out.decode(), err.decode()


def test_a_packet_is_there_once_for_each_device_it_passes(
    lab: LabState, start: Start, shark: Shark, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcapng"
    process = start("--pod", "pod-a", "-w", str(path))
    await_size(path, 100, process)
    ping(lab)
    status, out, err = interrupted(process)
    assert (status, err) == (0, "")
    assert f"written to {path}" in out
    rows = shark(path, "frame.interface_name", "icmp.type", "vxlan.vni", "ip.src", "frame.packet_flags_direction")
    there = [row for row in rows if row[1] == "8"]
    assert there[0][0] == "node1/pod-a/eth0"
    assert {name: (vni, src) for name, _, vni, src, _ in there} == {
        "node1/pod-a/eth0": ("", POD_A),
        f"node1/{port_of(lab, 'pod-a')}": ("", POD_A),
        "node1/cni0": ("", POD_A),
        "node1/flannel.1": ("", POD_A),
        "node1/eth0": ("1", f"192.168.52.11,{POD_A}"),
        "underlay/node1": ("1", f"192.168.52.11,{POD_A}"),
        "underlay/node2": ("1", f"192.168.52.11,{POD_A}"),
        "node2/eth0": ("1", f"192.168.52.11,{POD_A}"),
        f"node2/{port_of(lab, 'pod-b')}": ("", POD_A),
        "node2/cni0": ("", POD_A),
        "node2/flannel.1": ("", POD_A),
        "node2/pod-b/eth0": ("", POD_A),
    }
    assert len(there) == 12
    assert [int(row[4], 0) for row in there[:2]] == [2, 1]  # out of the pod, into the node


def port_of(lab: LabState, pod: str) -> str:
    """The name of the node's end of a pod's veth pair."""
    from netfs.api import load

    cluster = load(f"lab:{lab.name}")
    ((view,),) = [views for (_, name), views in cluster.topology.pods.items() if name == pod]
    peer = cluster.topology.peer(view, view.links_by_name["eth0"])
    assert peer is not None
    return peer.link.name


def test_a_filter_looks_inside_the_tunnel(lab: LabState, start: Start, shark: Shark, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    process = start("--filter", f"icmp and src {POD_A} and greater 400", "--node", "underlay", "-w", str(path))
    await_size(path, 100, process)
    ping(lab, 2)
    ping(lab, 2, 500)
    status, _, _ = interrupted(process)
    rows = shark(path, "frame.interface_name", "icmp.type", "vxlan.vni", "frame.len")
    assert status == 0
    assert Counter(row[0] for row in rows) == {"underlay/node1": 2, "underlay/node2": 2}
    assert {tuple(row[1:]) for row in rows} == {("8", "1", str(500 + 8 + 20 + 14 + 50))}


def test_a_count_ends_it_and_times_are_in_order(lab: LabState, start: Start, shark: Shark, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    process = start("--filter", "icmp", "-c", "30", "--snaplen", "60", "-o", "json", "-w", str(path))
    await_size(path, 100, process)
    ping(lab, 3)
    out, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    summary = json.loads(out)
    assert (summary["packets"], summary["file"], summary["missed"], summary["gaps"]) == (30, str(path), [], [])
    rows = shark(path, "frame.time_epoch", "frame.cap_len")
    assert len(rows) == 30
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert {row[1] for row in rows} == {"60"}


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def test_killed_it_leaves_a_readable_file_and_no_process(
    lab: LabState, start: Start, shark: Shark, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcapng"
    process = start("--filter", "icmp", "-w", str(path))
    await_size(path, 100, process)
    before = path.stat().st_size
    stations = children(process.pid)
    assert len(stations) == 3
    ping(lab, 5)
    await_size(path, before, process)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    rows = shark(path, "frame.interface_name", "icmp.type")
    assert Counter(row[0] for row in rows)["node1/cni0"] == 10
    deadline = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}/fd/0") for pid in stations):
        assert time.monotonic() < deadline, "a station is still there"
        time.sleep(0.02)


def test_stdout_is_a_stream_and_a_closed_pipe_ends_it_quietly(lab: LabState, start: Start) -> None:
    process = start("--filter", "icmp", "-w", "-")
    assert process.stdout is not None
    assert process.stderr is not None
    assert select.select([process.stdout], [], [], 15)[0]
    head = os.read(process.stdout.fileno(), 1 << 20)
    assert head.startswith(b"\x0a\x0d\x0d\x0a")
    ping(lab)
    assert select.select([process.stdout], [], [], 5)[0]
    assert os.read(process.stdout.fileno(), 1 << 20)
    process.stdout.close()
    assert process.wait(10) == 141
    assert process.stderr.read() == b""


def test_lines_tell_the_journey(lab: LabState, start: Start) -> None:
    process = start("--pod", "pod-a", "--filter", "icmp")
    assert process.stdout is not None
    deadline = time.monotonic() + 20
    while not select.select([process.stdout], [], [], 0)[0]:
        assert time.monotonic() < deadline, "no packet is heard"
        ping(lab)
    ping(lab)
    status, out, err = interrupted(process)
    lines = {line.split(" ", 1)[1] for line in out.splitlines()}
    there, back = f"{POD_A} > {POD_B} icmp echo-request, 84 bytes", f"{POD_B} > {POD_A} icmp echo-reply, 84 bytes"
    assert status == 0
    assert {
        f"node1/pod-a/eth0 out  {there}",
        f"underlay/node1 in  {there}, in vxlan vni 1 192.168.52.11 > 192.168.52.12",
        f"node2/pod-b/eth0 in  {there}",
        f"underlay/node1 out  {back}, in vxlan vni 1 192.168.52.12 > 192.168.52.11",
        f"node1/pod-a/eth0 in  {back}",
    } < lines
    assert err.startswith(f"{len(out.splitlines()):,} packets, ")


def test_it_ends_by_itself_after_so_many_packets(lab: LabState, start: Start) -> None:
    process = start("--pod", "pod-a", "--filter", "icmp", "-c", "7")
    deadline = time.monotonic() + 20
    while process.poll() is None:
        assert time.monotonic() < deadline
        ping(lab)
    out, err = process.communicate()
    assert process.returncode == 0
    assert len(out.splitlines()) == 7
    assert err.decode().startswith("7 packets, ")
