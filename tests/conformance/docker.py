"""Docker's own daemon: docker0, networks with bridges of their own (one has no way out, in one the containers may not
talk to each other), published ports, a container in two networks, DOCKER-USER.

It keeps everything below its world's folder; its cgroups go with its containers.
"""

from __future__ import annotations

from tests.conformance import firewalld
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
export DOCKER_HOST=unix:///run/world/docker.sock
group=/netfs-$(cat /proc/sys/kernel/random/uuid)
dockerd --data-root /run/world/data --exec-root /run/world/exec -p /run/world/docker.pid -H "$DOCKER_HOST" \
    --storage-driver vfs --cgroup-parent $group --experimental --ip6tables {options} >log 2>&1 </dev/null &
for turn in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
docker version >/dev/null || {{ tail -n 20 log >&2; exit 77; }}
tar -C image -c . | docker import - tiny >&2
run() {{
  name=$1; shift
  docker run -d --name $name "$@" tiny /busybox sleep 1000 >&2
  echo $name /proc/$(docker inspect -f '{{{{.State.Pid}}}}' $name)/ns/net >>pods
}}
bridge=com.docker.network.bridge
docker network create --subnet 172.18.0.0/16 -o $bridge.name=br-other other >&2
docker network create --subnet 172.19.0.0/16 -o $bridge.name=br-inner --internal inner >&2
docker network create --subnet 172.20.0.0/16 -o $bridge.name=br-mute -o $bridge.enable_icc=false mute >&2
docker network create --subnet 172.21.0.0/16 -o $bridge.name=br-sixth --ipv6 --subnet fd10:21::/64 sixth >&2
run web -p 8080:80
run peer -p 8081:80
run far --network other -p 9090:80/udp
run kept --network inner -p 6060:80
run silent --network mute -p 7070:80
run shy --network mute
run six --network sixth -p 5050:80
docker network connect other peer >&2
iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdst {node} --ctorigdstport 8081 --ctdir ORIGINAL -j DROP
"""
LEGACY = """
mkdir bin
for program in iptables ip6tables; do ln -s "$(command -v $program-legacy)" bin/$program; done
export PATH=$PWD/bin:$PATH
"""
END = """[ -n "$group" ] || exit 0
docker rm -f $(docker ps -aq)
kill $(cat /run/world/docker.pid)
wait
for folder in /sys/fs/cgroup$group /sys/fs/cgroup/*$group; do
  if [ -d $folder ]; then find $folder -depth -type d -exec rmdir {} +; fi
done"""
WEB, PEER, FAR, PEER_AMONG_OTHERS = "172.17.0.2", "172.17.0.3", "172.18.0.2", "172.18.0.3"
KEPT, SILENT, SIX, SIX_6 = "172.19.0.2", "172.20.0.2", "172.21.0.2", "fd10:21::2"
PROGRAMS = ("ip", "iptables", "iptables-nft-save", "nft", "ping", "unshare", "docker", "dockerd", "busybox")


def probes(*, proxied: bool) -> tuple[Probe, ...]:
    """What is asked. ``proxied``: a program on the node serves those whom no rule does."""
    return (
        Probe("client", NODE_ADDRESS, "tcp", 8080),
        Probe("client", NODE_ADDRESS, "udp", 9090),
        Probe("client", NODE_ADDRESS, "tcp", 8081),
        Probe("client", NODE_ADDRESS, "tcp", 81),
        Probe("client", WEB, "tcp", 80),
        Probe("client", WEB, "udp", 80),
        Probe("client", PEER),
        Probe("web", PEER, "tcp", 80),
        Probe("peer", WEB, "udp", 80),
        Probe("peer", WEB),
        Probe("web", FAR, "udp", 80),
        Probe("far", WEB, "tcp", 80),
        Probe("far", WEB),
        Probe("web", CLIENT_ADDRESS, "tcp", 80),
        Probe("far", CLIENT_ADDRESS, "udp", 80),
        Probe("far", CLIENT_ADDRESS),
        Probe("web", NODE_ADDRESS, "tcp", 8080, by_program=proxied),
        Probe("peer", NODE_ADDRESS, "tcp", 8080, by_program=proxied),
        Probe("peer", "172.17.0.1", "tcp", 8080, by_program=proxied),
        Probe("far", NODE_ADDRESS, "tcp", 8080, by_program=proxied),
        Probe("web", "172.17.0.1", "udp", 9090, by_program=proxied),
        Probe("node", NODE_ADDRESS, "tcp", 8080),
        Probe("node", NODE_ADDRESS, "tcp", 8081),
        Probe("node", "127.0.0.1", "tcp", 8080, by_program=proxied),
        Probe("node", WEB, "tcp", 80),
        Probe("node", FAR),
        Probe("far", PEER_AMONG_OTHERS, "tcp", 80),
        Probe("far", PEER),
        Probe("peer", FAR, "udp", 80),
        Probe("web", PEER_AMONG_OTHERS),
        Probe("kept", CLIENT_ADDRESS, "tcp", 80),
        Probe("kept", "172.19.0.1"),
        Probe("kept", NODE_ADDRESS),
        Probe("client", NODE_ADDRESS, "tcp", 6060),
        Probe("client", KEPT, "tcp", 80),
        Probe("node", KEPT, "udp", 80),
        Probe("node", NODE_ADDRESS, "tcp", 6060),
        Probe("web", KEPT),
        Probe("shy", SILENT, "tcp", 80),
        Probe("shy", SILENT),
        Probe("shy", CLIENT_ADDRESS, "udp", 80),
        Probe("shy", WEB, "tcp", 80),
        Probe("shy", NODE_ADDRESS, "tcp", 7070, by_program=proxied),
        Probe("client", NODE_ADDRESS, "tcp", 7070),
        Probe("client", NODE_ADDRESS, "tcp", 5050),
        Probe("client", NODE_ADDRESS_6, "tcp", 5050),
        Probe("client", NODE_ADDRESS_6, "tcp", 8080, by_program=proxied),
        Probe("client", SIX_6, "tcp", 80),
        Probe("client", SIX_6, "udp", 80),
        Probe("client", SIX_6),
        Probe("six", CLIENT_ADDRESS_6, "tcp", 80),
        Probe("six", CLIENT_ADDRESS_6),
        Probe("six", NODE_ADDRESS_6, "tcp", 5050, by_program=proxied),
        Probe("six", WEB),
        Probe("web", SIX, "tcp", 80),
        Probe("node", NODE_ADDRESS_6, "tcp", 5050),
        Probe("node", "::1", "tcp", 5050, by_program=proxied),
        Probe("node", SIX_6, "udp", 80),
        Probe("web", NODE_ADDRESS, "tcp", 7070, by_program=proxied),
    )


BESIDE_FIREWALLD = """
firewall-offline-cmd --zone=external --add-interface=eth0 >&2
firewall-offline-cmd --zone=external --add-port=80/udp >&2
firewalld_starts
"""

DOCKER = World(
    OWN_ETC + BUILD.format(options="", node=NODE_ADDRESS), probes(proxied=True), PROGRAMS, END, sources=("local",)
)
"""Rules by iptables-nft, and a program on the node for those whom no rule serves."""
DOCKER_WITHOUT_PROXY = World(
    OWN_ETC + LEGACY + BUILD.format(options="--userland-proxy=false", node=NODE_ADDRESS),
    probes(proxied=False),
    (*PROGRAMS, "iptables-legacy", "ip6tables-legacy"),
    END,
)
"""Rules by legacy iptables, and nothing else."""
DOCKER_BESIDE_FIREWALLD = World(
    OWN_ETC + firewalld.STARTS + BESIDE_FIREWALLD + BUILD.format(options="", node=NODE_ADDRESS),
    (*probes(proxied=True), Probe("client", NODE_ADDRESS), Probe("client", NODE_ADDRESS, "udp", 80)),
    (*PROGRAMS, *firewalld.FIREWALLD.programs),
    END,
)
"""Each in its own language: Docker's rules in iptables, firewalld's zones (one of them Docker's) in nftables."""
