"""Every world, by the name of its fixture."""

from __future__ import annotations

from collections.abc import Mapping

from tests.conformance.cni import CNI
from tests.conformance.docker import DOCKER, DOCKER_BESIDE_FIREWALLD, DOCKER_WITHOUT_PROXY
from tests.conformance.firewalld import FIREWALLD
from tests.conformance.podman import PODMAN
from tests.conformance.ufw import UFW
from tests.conformance.world import World

WORLDS: Mapping[str, World] = {
    "cni": CNI,
    "docker": DOCKER,
    "docker-beside-firewalld": DOCKER_BESIDE_FIREWALLD,
    "docker-without-proxy": DOCKER_WITHOUT_PROXY,
    "firewalld": FIREWALLD,
    "podman": PODMAN,
    "ufw": UFW,
}
