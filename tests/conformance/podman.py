"""Podman with netavark: its own network, one more, two that are kept apart from each other, and a macvlan."""

from __future__ import annotations

from tests.conformance.agreement import Probe
from tests.conformance.world import (
    CLIENT_ADDRESS,
    CLIENT_ADDRESS_6,
    NODE_ADDRESS,
    NODE_ADDRESS_6,
    OWN_ETC,
    World,
)

BUILD = """
mkdir image
cp "$(command -v busybox)" image/busybox
# crun refuses both versions of cgroups side by side; no container of this world needs any
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
cat >containers.conf <<CONF
[containers]
cgroups = "disabled"
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
[network]
network_backend = "netavark"
network_config_dir = "/run/world/networks"
CONF
export CONTAINERS_CONF=/run/world/containers.conf
pod() {
  podman --root /run/world/root --runroot /run/world/runroot --tmpdir /run/world/tmp --storage-driver vfs \
      --runtime crun "$@"
}
run() {
  name=$1; shift
  pod run -d --name $name "$@" tiny /busybox sleep 1000 >&2
  echo $name /proc/$(pod inspect -f '{{.State.Pid}}' $name)/ns/net >>pods
}
tar -C image -c . | pod import -q - tiny >&2
pod network create --disable-dns other >&2
pod network create --disable-dns -o isolate=true --ipv6 --subnet 10.89.1.0/24 --subnet fd10:89::/64 apart >&2
pod network create --disable-dns -o isolate=true away >&2
pod network create --disable-dns -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 --ip-range 192.0.2.128/25 wire >&2
run web -p 8080:80
run peer -p 8081:80/udp
run far --network other -p 127.0.0.1:9090:80
run alone --network apart -p 7070:80
run remote --network away
run beside --network wire --ip 192.0.2.130
"""
WEB, PEER, FAR, ALONE, REMOTE = "10.88.0.2", "10.88.0.3", "10.89.0.2", "10.89.1.2", "10.89.2.2"
ALONE_6, BESIDE = "fd10:89::2", "192.0.2.130"

PODMAN = World(
    OWN_ETC + BUILD,
    (
        Probe("client", NODE_ADDRESS, "tcp", 8080),
        Probe("client", NODE_ADDRESS, "udp", 8081),
        Probe("client", NODE_ADDRESS, "tcp", 9090),
        Probe("client", NODE_ADDRESS, "tcp", 7070),
        Probe("client", WEB, "tcp", 80),
        Probe("client", PEER),
        Probe("web", PEER, "udp", 80),
        Probe("web", FAR, "tcp", 80),
        Probe("far", WEB),
        Probe("alone", REMOTE, "tcp", 80),
        Probe("remote", ALONE),
        Probe("remote", WEB, "tcp", 80),
        Probe("web", ALONE, "udp", 80),
        Probe("web", CLIENT_ADDRESS, "tcp", 80),
        Probe("alone", CLIENT_ADDRESS, "udp", 80),
        Probe("far", CLIENT_ADDRESS),
        Probe("web", NODE_ADDRESS, "tcp", 8080),
        Probe("peer", NODE_ADDRESS, "tcp", 8080),
        Probe("far", NODE_ADDRESS, "tcp", 8080),
        Probe("remote", NODE_ADDRESS, "tcp", 7070),
        Probe("peer", "10.88.0.1", "udp", 8081),
        Probe("node", NODE_ADDRESS, "tcp", 8080),
        Probe("node", "127.0.0.1", "tcp", 8080),
        Probe("node", "127.0.0.1", "tcp", 9090),
        Probe("node", "127.0.0.1", "udp", 8081),
        Probe("node", ALONE),
        Probe("client", NODE_ADDRESS_6, "tcp", 7070),
        Probe("client", NODE_ADDRESS_6, "udp", 7070),
        Probe("client", ALONE_6, "udp", 80),
        Probe("alone", CLIENT_ADDRESS_6, "tcp", 80),
        Probe("alone", CLIENT_ADDRESS_6),
        Probe("alone", NODE_ADDRESS_6, "tcp", 7070),
        Probe("node", NODE_ADDRESS_6, "tcp", 7070),
        Probe("node", "::1", "tcp", 7070),
        Probe("client", BESIDE, "tcp", 80),
        Probe("beside", CLIENT_ADDRESS, "udp", 80),
        Probe("node", BESIDE),
        Probe("beside", NODE_ADDRESS, "tcp", 8080),
        Probe("web", BESIDE, "tcp", 80),
    ),
    (
        "ip",
        "iptables",
        "iptables-nft-save",
        "nft",
        "ping",
        "unshare",
        "podman",
        "crun",
        "busybox",
        "/usr/lib/podman/netavark",
    ),
    "pod rm -fa -t 0",
    sources=("local",),
)
