"""Makes a specification real: namespaces, wires and commands, in a few dozen milliseconds.

Everything happens in the calling process, which must be single-threaded and hold the privilege (its own user
namespace, or root): it walks from namespace to namespace with setns(2), so what it starts inherits the place.
Namespaces are held by descriptors alone; nothing is pinned, so nothing can be left behind.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.property.networks.spec import Spec

CLONE_NEWNET = 0x40000000
_NLMSG_DONE, _IFLA_OPERSTATE = 3, 16
_GETLINK = struct.pack("=IHHIIBBHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0, 0)
"""RTM_GETLINK with NLM_F_REQUEST | NLM_F_DUMP."""
_IFF_UP, _IFF_RUNNING, _IFF_LOWER_UP = 1, 0x40, 0x10000
_libc = ctypes.CDLL(None, use_errno=True)

QUICK_DEVICE = (("retrans_time_ms", "20"), ("mcast_solicit", "2"), ("ucast_solicit", "2"), ("proxy_delay", "0"))
"""``net.FAMILY.neigh.DEVICE.*``: how soon a neighbour that does not answer is given up. A namespace other than the
first has no ``neigh.default``, so each device is told."""

QUICK = (
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
)
"""What makes a namespace answer sooner, without changing what it answers."""


class BuildError(Exception):
    """A namespace could not be made, or a command of a network in working order failed."""


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise BuildError(os.strerror(number))


class Network:
    """A specification in the kernel."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.refused: tuple[str, ...] = ()
        """Commands that the kernel or a tool refused, with the reason."""
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.fds: dict[str, int] = {}
        try:
            for ns in spec.namespaces:
                self.fds[ns.name] = self._new()
            self._setup()
        except BaseException:
            self.close()
            raise

    def path(self, name: str) -> str:
        """A path by which any process of the same owner can open the namespace."""
        return f"/proc/{os.getpid()}/fd/{self.fds[name]}"

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Runs the block in a namespace."""
        _check(_libc.setns(self.fds[name], CLONE_NEWNET))
        try:
            yield
        finally:
            _check(_libc.setns(self._home, CLONE_NEWNET))

    def close(self) -> None:
        """Lets every namespace go; the kernel removes them."""
        _libc.setns(self._home, CLONE_NEWNET)
        for fd in (*self.fds.values(), self._home):
            os.close(fd)
        self.fds = {}

    def _new(self) -> int:
        _check(_libc.unshare(CLONE_NEWNET))
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        for name, value in QUICK:
            _write_sysctl(name, value)
        if not self.spec.uses_ipv6:
            _write_sysctl("net.ipv6.conf.all.disable_ipv6", "1")
            _write_sysctl("net.ipv6.conf.default.disable_ipv6", "1")
        return fd

    def _setup(self) -> None:
        """Devices first, then the rest, all namespaces at once.

        A neighbour that is asked for while its device still waits whole seconds keeps its first timer; so
        devices are hurried before they come up and IPv6 begins to chatter.
        """
        lines = {ns.name: self.spec.lines(ns.name) for ns in self.spec.namespaces}
        wires: list[str] = []
        for wire in self.spec.wires:
            (a, a_dev), (b, b_dev) = wire.a.split("/"), wire.b.split("/")
            wires.append(
                f"link add {a_dev} address {wire.a_mac} mtu {wire.mtu} netns {self.path(a)} type veth "
                f"peer name {b_dev} address {wire.b_mac} mtu {wire.mtu} netns {self.path(b)}"
            )
        refused = self._run("ip", {self.spec.namespaces[0].name: wires})
        made = {name: [_bare(line, "ip") for line in text if _creates(line)] for name, text in lines.items()}
        refused += self._run("ip", {name: self._resolve(text) for name, text in made.items()})
        for name in lines:
            with self.inside(name):
                _hurry()
        up: dict[str, list[str]] = {name: [] for name in lines}
        for wire in self.spec.wires:
            for end in (wire.a, wire.b):
                up[end.split("/")[0]].append(f"link set {end.split('/')[1]} up")
        for tool in ("ip", "ip -6", "bridge"):
            batches = {
                name: [_bare(line, tool) for line in text if _is_for(tool, line)] for name, text in lines.items()
            }
            refused += self._run(tool, {n: up[n] + t for n, t in batches.items()} if tool == "ip" else batches)
        for name, text in lines.items():
            with self.inside(name):
                for line in text:
                    if line.startswith("sysctl "):
                        key, _, value = line.removeprefix("sysctl ").partition("=")
                        refused += _try_sysctl(key, value)
        self.refused = tuple(refused)

    def _resolve(self, lines: list[str]) -> list[str]:
        for name in self.fds:
            lines = [line.replace(f"@{name} ", f"{self.path(name)} ") for line in lines]
        return lines

    def _run(self, tool: str, batches: dict[str, list[str]]) -> list[str]:
        """One process of a tool for each namespace that has commands for it, all at once."""
        running: list[tuple[list[str], subprocess.Popen[str]]] = []
        for name, batch in batches.items():
            if batch:
                with self.inside(name):
                    process = subprocess.Popen(
                        [*tool.split(), "-force", "-batch", "-"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                assert process.stdin is not None
                process.stdin.write("\n".join(batch) + "\n")
                process.stdin.close()
                running.append((batch, process))
        refused: list[str] = []
        for batch, process in running:
            assert process.stderr is not None
            text = process.stderr.read()
            process.stderr.close()
            if process.wait() != 0:
                refused += [f"{tool}: {error}" for error in _errors(batch, text)]
        return refused


def _creates(line: str) -> bool:
    """Whether a command makes a device: these go first, so that all are there before any is brought up."""
    return line.startswith("ip link add ")


def _is_for(tool: str, line: str) -> bool:
    """Whether a command is one of the tool's, and not run before."""
    return line.startswith(tool + " ") and not (tool == "ip" and line.startswith("ip -6 ")) and not _creates(line)


def _bare(line: str, tool: str) -> str:
    return line.removeprefix(tool + " ")


def _errors(batch: list[str], text: str) -> Iterator[str]:
    """``COMMAND: reason`` for each command that a batch could not run."""
    reason: list[str] = []
    for line in text.splitlines():
        if line.startswith("Command failed -:"):
            number = int(line.rpartition(":")[2])
            yield f"{batch[number - 1]}: {' '.join(reason)}"
            reason = []
        else:
            reason.append(line)


def _write_sysctl(name: str, value: str) -> None:
    head, *rest = name.split(".")
    path = Path("/proc/sys", head, *rest)
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _hurry() -> None:
    """Makes every device of the namespace give up on a silent neighbour soon."""
    for family in ("ipv4", "ipv6"):
        for device in Path(f"/proc/sys/net/{family}/neigh").iterdir():
            for name, value in QUICK_DEVICE:
                (device / name).write_text(value, encoding="ascii")


def _try_sysctl(key: str, value: str) -> list[str]:
    """Sets a sysctl; ``flannel.1`` keeps its dot."""
    key = key.replace("flannel.1", "flannel/1")
    path = "/proc/sys/" + key.replace(".", "\0").replace("/", ".").replace("\0", "/")
    try:
        Path(path).write_text(value, encoding="ascii")
    except OSError as error:
        return [f"sysctl {key}={value}: {error.strerror}"]
    return []


def settle(network: Network, timeout: float = 0.5) -> None:
    """Waits until carriers, ports and IPv6 addresses have come to rest: two equal looks 8 ms apart, three with IPv6."""
    end = time.monotonic() + timeout
    wanted = 3 if network.spec.uses_ipv6 else 2
    looks = [_states(network)]
    while time.monotonic() < end and not (len(looks) >= wanted and all(look == looks[-1] for look in looks[-wanted:])):
        time.sleep(0.008)
        looks.append(_states(network))


def settle_carriers(network: Network, timeout: float = 3.0) -> None:
    """Waits until the queues of every device fit its carrier as well: a loss of carrier is acted upon up to a second
    later (``linkwatch_nextevent``), a second after that by the devices above it; meanwhile they still send.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end and any(_in_doubt(flags) for _, flags, _ in _states(network)):
        time.sleep(0.02)
    settle(network)


def _in_doubt(flags: int) -> bool:
    return bool(flags & _IFF_UP) and bool(flags & _IFF_RUNNING) != bool(flags & _IFF_LOWER_UP)


def _states(network: Network) -> list[tuple[int, int, bytes]]:
    """(index, flags, operational state) of every device, and the list of IPv6 addresses with their flags."""
    found: list[tuple[int, int, bytes]] = []
    for name in network.fds:
        with network.inside(name), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            if network.spec.uses_ipv6:
                found.append((0, 0, Path("/proc/thread-self/net/if_inet6").read_bytes()))
            sock.send(_GETLINK)
            while True:
                data = sock.recv(65536)
                if struct.unpack_from("=H", data, 4)[0] == _NLMSG_DONE:
                    break
                found += _links(data)
    return found


def _links(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        length = struct.unpack_from("=I", data, at)[0]
        index, flags = struct.unpack_from("=iI", data, at + 20)
        attribute, state = at + 32, b""
        while attribute < at + length:
            size, kind = struct.unpack_from("=HH", data, attribute)
            if kind == _IFLA_OPERSTATE:
                state = data[attribute + 4 : attribute + 5]
            attribute += size + 3 & ~3
        yield index, flags, state
        at += length + 3 & ~3
