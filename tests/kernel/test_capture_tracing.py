"""The kernel's word on drops: packets dropped in all ways, among others like them, and what was told of them.

tracefs is root's alone, of the machine itself. For everybody else each of these tests asks that the tracer says so.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

import pytest

from netfs.capture.compare.kernel import lost, tie
from netfs.capture.station.order import Tracing
from netfs.capture.station.tracefs import PREFIX, Instance, sweep
from netfs.capture.station.tracing import open_tracing
from netfs.model.live import KernelWord, Sighting
from tests.kernel.capture_taps import PORT, Space, datagram, gather, send, sender, wire

_SYS_ADMIN = 21
_NFT = (
    "nft add table ip t; nft add chain ip t c '{{ type filter hook {} priority 0; }}'; "
    "nft add rule ip t c udp dport 4242 drop"
)
_TC = (
    "tc qdisc add dev {0} clsact; tc filter add dev {0} egress protocol ip bpf da bytecode "
    "'4,48 0 0 23,21 0 1 17,6 0 0 2,6 0 0 4294967295,'"
)
_STRANGER = "lladdr 02:00:00:00:00:77 nud permanent"
_SPACES = {"line": "arb", "bridge": "arbc", "tunnel": "anmb"}


def _privileged() -> bool:
    """Root of the machine, not of a user namespace, and not without what root can do."""
    with open("/proc/self/uid_map", encoding="ascii") as ids, open("/proc/self/status", encoding="ascii") as status:
        mapped = ids.read().split()
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return mapped == ["0", "0", "4294967295"] and bool(effective >> _SYS_ADMIN & 1)


PRIVILEGED = _privileged()


@dataclass(frozen=True)
class Case:
    """What is wrong where, the packet that is sent, and what the kernel is to say: (where, reason, functions)."""

    told: tuple[tuple[str | None, str, str], ...]
    setup: dict[str, str] = field(default_factory=dict)
    """Commands, by namespace."""
    proto: str = "udp"
    to: str = "10.9.2.2"
    size: int = 104
    shape: str = "line"
    seconds: float = 0.1
    listens: bool = False
    """A server answers the handshake."""
    role: str = "probe"
    family: int = 4


CASES = {
    "delivered, and answered": Case((), proto="icmp"),
    "UDP to a closed port": Case((("b/eth0", "NO_SOCKET", "__udp4_lib_rcv|udp_rcv"),)),
    "a SYN to a closed port": Case((("b/eth0", "NO_SOCKET", "tcp_v4_rcv"),), proto="tcp"),
    "a SYN, answered and reset": Case((), proto="tcp", listens=True),
    "a SYN's answer, dropped": Case(
        (("r/vb", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),),
        {"r": _NFT.format("forward").replace("udp dport", "tcp sport")},
        proto="tcp",
        listens=True,
        role="answer",
    ),
    "dropped in PREROUTING": Case(
        (("r/va", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),), {"r": _NFT.format("prerouting")}
    ),
    "dropped in FORWARD": Case(
        (("r/va", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),), {"r": _NFT.format("forward")}
    ),
    "dropped in POSTROUTING": Case(
        (("r/va", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),), {"r": _NFT.format("postrouting")}
    ),
    "dropped in INPUT": Case((("b/eth0", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),), {"b": _NFT.format("input")}),
    "dropped in OUTPUT": Case(((None, "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),), {"a": _NFT.format("output")}),
    "dropped by tc at the source": Case(
        ((None, "TC_EGRESS", "__dev_queue_xmit|sch_handle_egress|dev_queue_xmit"),), {"a": _TC.format("eth0")}
    ),
    "dropped by tc on the way": Case(
        (("r/va", "TC_EGRESS", "__dev_queue_xmit|sch_handle_egress|dev_queue_xmit"),), {"r": _TC.format("vb")}
    ),
    "reverse path elsewhere": Case(
        (("r/va", "IP_RPFILTER", "ip_rcv_finish.*"),),
        {"r": "sysctl -qw net.ipv4.conf.va.rp_filter=1; ip route add 10.9.1.2/32 dev vb"},
    ),
    "time to live": Case((("r/va", "IP_INHDR", "ip_forward"),), {"a": "sysctl -qw net.ipv4.ip_default_ttl=1"}),
    "no route": Case((("r/va", "IP_INNOROUTES", "ip_error"),), to="10.77.0.1"),
    "not forwarded": Case(
        (("r/va", "IP_INADDRERRORS", "ip_error"),), {"r": "sysctl -qw net.ipv4.conf.va.forwarding=0"}
    ),
    "a neighbour that does not answer": Case(
        (("r/va", "NEIGH_FAILED", "neigh_invalidate|arp_error_report"),),
        {"r": "sysctl -qw net.ipv4.neigh.vb.retrans_time_ms=30"},
        to="10.9.2.77",
        seconds=0.4,
    ),
    "a neighbour of the source that does not answer": Case(
        ((None, "NEIGH_FAILED", "neigh_invalidate|arp_error_report"),),
        {"a": "sysctl -qw net.ipv4.neigh.eth0.retrans_time_ms=30 net.ipv4.icmp_ratelimit=0"},
        to="10.9.1.77",
        seconds=0.4,
    ),
    "too big": Case((("r/va", "PKT_TOO_BIG", "ip_forward"),), {"r": "ip link set vb mtu 1000"}, size=1200),
    "too big for the other end": Case(
        (("r/vb", "NOT_SPECIFIED", "__dev_forward_skb.*"),), {"b": "ip link set eth0 mtu 1000"}, size=1200
    ),
    "another's MAC": Case(
        (("r/va", "OTHERHOST", "ip_rcv_core"),), {"a": f"ip neigh replace 10.9.1.1 dev eth0 {_STRANGER}"}
    ),
    "IPv6, answered": Case((), proto="icmpv6", to="fd09:2::2", family=6),
    "IPv6, dropped in FORWARD": Case(
        (("r/va", "NETFILTER_DROP", "nft_do_chain|nf_hook_slow"),),
        {"r": _NFT.format("forward").replace("ip t", "ip6 t").replace("udp dport 4242", "icmpv6 type echo-request")},
        proto="icmpv6",
        to="fd09:2::2",
        family=6,
    ),
    "flooded, and taken by one": Case((), proto="icmp", shape="bridge"),
    "flooded, and taken by nobody": Case(
        (("b/eth0", "OTHERHOST", "ip_rcv_core"), ("c/eth0", "OTHERHOST", "ip_rcv_core")),
        {"a": f"ip neigh replace 10.9.2.2 dev eth0 {_STRANGER}"},
        shape="bridge",
    ),
    "between isolated ports": Case(
        (("r/va", "NOT_SPECIFIED", "br_.*"),),
        {
            "r": "bridge link set dev va isolated on; bridge link set dev vb isolated on; "
            "bridge fdb replace 02:00:00:00:00:0b dev vb master static"
        },
        shape="bridge",
    ),
    "through a tunnel": Case((), proto="icmp", shape="tunnel"),
    "a tunnel with another VNI": Case(
        (("m/under", "VXLAN_VNI_NOT_FOUND", "vxlan_rcv"),),
        {
            "m": "ip link del vx; {} id 2".format(
                "ip link add vx address 02:00:00:00:01:02 type vxlan dev under dstport 8472"
            )
            + "; ip link set vx up"
        },
        shape="tunnel",
    ),
    "a tunnel without an FDB entry": Case(
        (("n/vx", "NO_TX_TARGET", "vxlan_xmit"),),
        {"n": "bridge fdb del 02:00:00:00:01:02 dev vx dst 192.168.9.2"},
        shape="tunnel",
    ),
    "a tunnel to a host without one": Case(
        (("m/under", "NO_SOCKET", "__udp4_lib_rcv|udp_rcv"),), {"m": "ip link del vx"}, shape="tunnel"
    ),
    "a tunnel's inner MAC of another": Case(
        (("m/vx", "OTHERHOST", "ip_rcv_core"),), {"m": "ip link set vx address 02:00:00:00:01:99"}, shape="tunnel"
    ),
}


def _build(shape: str) -> dict[str, Space]:
    """``line``: a – router r – b. ``bridge``: a, b and c on bridge cni0 of r. ``tunnel``: a – n – VXLAN – m – b."""
    spaces = {name: Space.new(name) for name in _SPACES[shape]}
    for space in spaces.values():
        space.run("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1")
    near, far = (spaces["n"], spaces["m"]) if shape == "tunnel" else (spaces["r"], spaces["r"])
    wire(spaces["a"], "eth0", near, "va")
    wire(far, "vb", spaces["b"], "eth0")
    for router in {near.inode: near, far.inode: far}.values():
        router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0")
    if shape == "bridge":
        wire(far, "vc", spaces["c"], "eth0")
        far.run(
            "ip link add cni0 type bridge; ip link set cni0 up; for d in va vb vc; do ip link set $d master cni0; done"
        )
        spaces["a"].run("ip addr add 10.9.1.2/16 dev eth0; ip neigh replace 10.9.2.2 dev eth0 lladdr 02:00:00:00:00:0b")
        spaces["b"].run("ip link set eth0 address 02:00:00:00:00:0b; ip addr add 10.9.2.2/16 dev eth0")
        return spaces
    spaces["a"].run("ip addr add 10.9.1.2/24 dev eth0; ip route add default via 10.9.1.1")
    spaces["b"].run("ip addr add 10.9.2.2/24 dev eth0; ip route add default via 10.9.2.1")
    near.run("ip addr add 10.9.1.1/24 dev va; ip addr add fd09:1::1/64 dev va nodad")
    far.run("ip addr add 10.9.2.1/24 dev vb; ip addr add fd09:2::1/64 dev vb nodad")
    for space, net in ((spaces["a"], "fd09:1::"), (spaces["b"], "fd09:2::")):
        space.run(f"ip addr add {net}2/64 dev eth0 nodad; ip -6 route add default via {net}1")
    if shape == "tunnel":
        wire(near, "under", far, "under")
        for space, own, peer, net in ((near, 1, 2, "10.9.2.0/24"), (far, 2, 1, "10.9.1.0/24")):
            space.run(
                f"ip addr add 192.168.9.{own}/24 dev under; "
                f"ip link add vx address 02:00:00:00:01:0{own} type vxlan id 1 dev under dstport 8472; "
                f"ip link set vx up; ip addr add 10.9.{own}.0/32 dev vx; "
                f"ip route add {net} via 10.9.{peer}.0 dev vx onlink; "
                f"ip neigh add 10.9.{peer}.0 lladdr 02:00:00:00:01:0{peer} dev vx nud permanent; "
                f"bridge fdb add 02:00:00:00:01:0{peer} dev vx dst 192.168.9.{peer}"
            )
    # The probe itself finds its neighbours known, and others' packets are lost as well: some, elsewhere.
    for space, known, device in ((spaces["a"], "10.9.1.1", "eth0"), (near, "10.9.1.2", "va"), (far, "10.9.2.2", "vb")):
        learned = f"ip neigh change {known} dev {device} nud permanent 2>/dev/null"
        space.run(f"ping -qc1 -W1 {known} >/dev/null && {learned} || true")
    near.run(
        "nft add table ip bg; nft add chain ip bg c '{ type filter hook prerouting priority -300; }'; "
        "nft add rule ip bg c udp dport 4243 numgen inc mod 2 == 0 drop"
    )
    return spaces


@contextmanager
def _server(space: Space) -> Iterator[None]:
    """A socket that accepts connections to the probe's port."""
    server = space.within(lambda: socket.create_server(("", PORT)))
    assert isinstance(server, socket.socket)
    with server:
        yield


@contextmanager
def _others(space: Space, size: int, to: str) -> Iterator[None]:
    """Packets that look alike, about one each 300 µs."""
    stop = threading.Event()

    def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
            while not stop.wait(0.0003):
                with suppress(OSError):
                    busy.sendto(bytes(size), (to, PORT + 1))

    thread = threading.Thread(target=lambda: space.within(work), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _played(
    case: Case, numbers: int = 1, around: Callable[[Space], AbstractContextManager[None]] | None = None
) -> tuple[list[Sighting], tuple[KernelWord, ...], int]:
    """What the taps saw and the kernel told; and how many events got lost."""
    spaces = _build(case.shape)
    try:
        for name, commands in case.setup.items():
            spaces[name].run(commands)
        for space in spaces.values():
            space.listen()
        protocol, header = {"udp": (17, 8), "icmp": (1, 8), "tcp": (6, 20), "icmpv6": (58, 8)}[case.proto]
        length = (40 if case.family == 6 else 20) + header + (0 if case.proto == "tcp" else case.size)
        with (
            around(spaces["a"]) if around is not None else nullcontext(),
            open_tracing(Tracing(min(length, 40) if case.proto == "tcp" else length, length)) as tracer,
            sender(spaces["a"], case.family, protocol) as raw,
            _others(spaces["a"], case.size, "10.9.2.2"),
            _server(spaces["b"]) if case.listens else nullcontext(),
        ):
            assert tracer.problem is None
            for number in range(numbers):
                send(tracer, raw, datagram(case.proto, number, case.size, "10.9.1.2", case.to), case.to, number)
            sightings = gather(list(spaces.values()), case.seconds)
            heard = tracer.read()
        taps = [space.ref(device) for space in spaces.values() for device in space.devices.values()]
        return sightings, tie(heard, sightings, taps, case.family), lost(heard)
    finally:
        for space in spaces.values():
            space.close()


@pytest.fixture(autouse=True)
def _told_why() -> None:
    """Who may not listen is told so, at once, and everything else answers with nothing."""
    if PRIVILEGED:
        return
    with open_tracing(Tracing(40, 100)) as tracer:
        assert tracer.problem is not None
        assert "root" in tracer.problem or "tracefs" in tracer.problem
        tracer.mark(0)
        tracer.drain()
        assert tracer.read() == b""


TRIES = 3
"""The whole kernel is listened to: on a busy machine an answer that comes too late for its socket is lost as well."""


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_says_where_and_why_it_dropped_the_probe(name: str, require_program: Callable[[str], str]) -> None:
    for program in ("ip", "bridge", "nft", "tc", "sysctl"):
        require_program(program)
    if not PRIVILEGED:
        return
    case = CASES[name]
    wanted = sorted(where or "" for where, *_ in case.told)
    for _ in range(TRIES):
        _, words, missed = _played(case)
        assert missed == 0
        if (told := sorted(word.tap.name if word.tap else "" for word in words)) == wanted:
            break
    assert told == wanted
    assert {(word.number, word.role) for word in words} <= {(0, case.role)}
    for word, (_, reason, functions) in zip(words, case.told, strict=True):
        assert re.fullmatch(functions, word.location)
        assert word.reason == reason or (_older() and word.reason == "NOT_SPECIFIED")


def _older() -> bool:
    """Whether this kernel has fewer reasons than the one that the cases were written on."""
    return tuple(map(int, os.uname().release.split(".")[:2])) < (6, 18)


_LOAD = """
import socket
busy, data = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), bytes(104)
while True:
    try:
        busy.sendto(data, ("10.9.2.2", 4243))
    except OSError:
        pass
"""


@pytest.mark.soak
def test_each_probe_is_found_among_as_many_others_as_this_machine_sends() -> None:
    """Of the same length, on the same way; half of them dropped there, for the same reason or another."""
    if not PRIVILEGED:
        return
    for name in ("dropped in INPUT", "dropped in PREROUTING", "UDP to a closed port", "dropped by tc on the way"):
        for number in range(10):
            _, words, _ = _played(CASES[name], around=_loaded)
            assert [(word.reason, word.number) for word in words] == [(CASES[name].told[0][1], 0)], (name, number)


@contextmanager
def _loaded(space: Space) -> Iterator[None]:
    load = space.within(lambda: subprocess.Popen([sys.executable, "-c", _LOAD]))
    assert isinstance(load, subprocess.Popen)
    try:
        time.sleep(0.3)
        yield
    finally:
        load.kill()
        load.wait()


def test_each_of_several_probes_has_its_own_word() -> None:
    if not PRIVILEGED:
        return
    sightings, words, _ = _played(CASES["dropped in INPUT"], numbers=5)
    assert [word.number for word in words] == [0, 1, 2, 3, 4]
    last = {one.number: one.at_ns for one in sightings}
    assert all(0 <= word.at_ns - last[word.number or 0] < 1_000_000_000 for word in words)


def _instances() -> set[str]:
    """Of this process and its children: their names begin with the process id."""
    root = Instance()
    try:
        names = os.listdir(f"/proc/self/fd/{root.root}/instances")
        return {name for name in names if name != root.name}
    finally:
        root.close()


def _gone(name: str) -> bool:
    """Within a few seconds."""
    for _ in range(100):
        if name not in _instances():
            return True
        time.sleep(0.05)
    return False


_HOLD = """
import sys, time
from netfs.capture.station.order import Tracing
from netfs.capture.station.tracing import open_tracing
tracer = open_tracing(Tracing(40, 100))
tracer.mark(0)
print(tracer.name, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_instance_goes_with_the_process_however_it_ends(number: signal.Signals) -> None:
    if not PRIVILEGED:
        return
    with subprocess.Popen([sys.executable, "-c", _HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout
        name = holder.stdout.readline().decode().strip()
        assert name.startswith(f"{PREFIX}{holder.pid}-")
        assert name in _instances()  # and asking, which sweeps, does not take it away
        holder.send_signal(number)
    assert _gone(name)


def test_an_instance_that_was_left_behind_goes_at_the_next_start() -> None:
    if not PRIVILEGED:
        return
    left = f"{PREFIX}0-left-{os.getpid()}"
    instance = Instance()
    try:
        os.mkdir(f"instances/{left}", dir_fd=instance.root)
        open_tracing(Tracing(40, 100)).close()
        assert left not in _instances()
    finally:
        with suppress(OSError):
            os.rmdir(f"instances/{left}", dir_fd=instance.root)
        instance.close()


def test_an_instance_that_another_start_swept_away_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its making and the first file that is open in it, it looks as one that was left behind."""
    made: list[str] = []
    make = os.mkdir

    def swept(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(path, mode, dir_fd=dir_fd)
        made.append(path)
        if len(made) < 3:
            os.rmdir(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swept)
    with open_tracing(Tracing(40, 100)) as tracer:
        assert tracer.problem is None or not PRIVILEGED
        assert len(made) == (3 if PRIVILEGED else 0)


def test_an_instance_is_busy_as_soon_as_it_is_there() -> None:
    if not PRIVILEGED:
        return
    instance = Instance()
    try:
        sweep(instance.root)
        assert instance.name in _instances()
    finally:
        instance.close()
    assert _gone(instance.name)


def test_nothing_stays_open_mounted_or_running() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        mounted = mounts.read()
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        ours = children.read()
    tracer = open_tracing(Tracing(40, 100))
    tracer.mark(0)
    tracer.read()
    tracer.close()
    tracer.close()
    assert set(os.listdir("/proc/self/fd")) <= before
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        assert mounts.read() == mounted
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        assert children.read() == ours
    assert not PRIVILEGED or _gone(tracer.name)


def test_a_failure_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def refuse(instance: Instance, path: str, value: str) -> None:
        names.append(instance.name)
        raise OSError(errno.EINVAL, "no", path)

    monkeypatch.setattr(Instance, "write", refuse)
    tracer = open_tracing(Tracing(40, 100))
    assert tracer.problem is not None
    assert tracer.read() == b""
    monkeypatch.undo()
    assert not PRIVILEGED or (names and _gone(names[0]))
