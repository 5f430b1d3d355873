"""A network in the making: what the patterns write on before it is frozen into a ``Spec``."""

from __future__ import annotations

from random import Random

from tests.property.networks.spec import Namespace, Probe, Spec, Wire


class Draft:
    """Namespaces, wires and commands, collected one by one."""

    def __init__(self, rng: Random, family: int) -> None:
        self.rng = rng
        self.family = family
        self.roles: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {}
        self.wires: list[Wire] = []
        self._macs = 0

    @property
    def any(self) -> str:
        """The prefix of everything; its form tells the family."""
        return "::/0" if self.family == 6 else "0.0.0.0/0"

    @property
    def ip(self) -> str:
        """The command for what names no address."""
        return "ip -6" if self.family == 6 else "ip"

    @property
    def host_bits(self) -> int:
        """The length of a prefix of one address."""
        return 128 if self.family == 6 else 32

    @property
    def subnet_bits(self) -> int:
        """The length of a usual subnet."""
        return 64 if self.family == 6 else 24

    def ns(self, name: str, role: str, *, forward: bool = False) -> str:
        """Adds a namespace; returns its name."""
        self.roles[name] = role
        self.lines[name] = ["ip link set lo up"]
        if forward:
            self.run(name, "sysctl net.ipv4.ip_forward=1", "sysctl net.ipv6.conf.all.forwarding=1")
        return name

    def run(self, name: str, *lines: str) -> None:
        """Adds commands to a namespace."""
        self.lines[name] += lines

    def mac(self) -> str:
        """A MAC that nobody else has."""
        self._macs += 1
        return f"02:00:00:00:00:{self._macs:02x}"

    def wire(self, a: str, b: str, mtu: int = 1500) -> None:
        """A veth pair between ``NAMESPACE/DEVICE`` and ``NAMESPACE/DEVICE``."""
        self.wires.append(Wire(a, b, self.mac(), self.mac(), mtu))

    def mac_of(self, port: str) -> str:
        """The MAC of the wire end ``NAMESPACE/DEVICE``."""
        for wire in self.wires:
            if wire.a == port:
                return wire.a_mac
            if wire.b == port:
                return wire.b_mac
        raise KeyError(port)

    def net(self, number: int, host: int = 0) -> str:
        """The address of a host of subnet ``number``; host 0 is the subnet's own."""
        return f"fd00:{number}::{host or ''}" if self.family == 6 else f"10.{number}.0.{host}"

    def subnet(self, number: int) -> str:
        """Subnet ``number`` with its length."""
        return f"{self.net(number)}/{self.subnet_bits}"

    def address(self, name: str, device: str, number: int, host: int, bits: int | None = None) -> None:
        """Gives a device an address of subnet ``number``."""
        self.run(name, f"ip addr add {self.net(number, host)}/{bits or self.subnet_bits} dev {device}{self.nodad}")

    @property
    def nodad(self) -> str:
        """What keeps duplicate address detection away."""
        return " nodad" if self.family == 6 else ""

    def route(self, name: str, rest: str) -> None:
        """Adds a route of the draft's family."""
        self.run(name, f"ip route add {rest}")

    def bridge(self, name: str, device: str, *ports: str) -> None:
        """A bridge, up, with ports."""
        self.run(
            name, f"ip link add {device} address {self.mac()} type bridge forward_delay 0", f"ip link set {device} up"
        )
        for port in ports:
            self.run(name, f"ip link set {port} master {device}")

    def freeze(self, pattern: str, probe: Probe, seed: int | None) -> Spec:
        """The specification; in which order the wires are made, and so numbered, is left to chance."""
        self.rng.shuffle(self.wires)
        namespaces = tuple(Namespace(name, role, tuple(self.lines[name])) for name, role in self.roles.items())
        return Spec(pattern, namespaces, tuple(self.wires), probe, (), seed)
