"""Containers that change files at random, layer upon layer: the daemon and the kernel say what ``netfs`` says."""

from __future__ import annotations

import random

import pytest

from netfs.overlay.changes.account import account
from netfs.overlay.changes.diff import diff
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.view import View
from netfs.overlay.stores.docker import store as reader
from tests.conformance.stores import agreement
from tests.conformance.stores.docker import STORE, Docker, options
from tests.conformance.stores.scripts import script
from tests.conformance.stores.seen import tree

pytestmark = pytest.mark.kernel
LINES = 25


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 60))])
def test_what_random_containers_changed(dockerd: Docker, seed: int) -> None:
    choices = random.Random(seed)
    image = "base:1"
    containers, images = [], []
    try:
        for level in range(4):
            containers.append(f"random-{seed}-{level}")
            dockerd("run", "-d", "--name", containers[-1], *options(dockerd), image, "/bin/sleep", "1000")
            dockerd("exec", containers[-1], "/bin/sh", "-c", script(choices, LINES))
            compare(dockerd, containers[-1])
            image = f"random:{seed}-{level}"
            dockerd("commit", containers[-1], image)
            images.append(image)
    finally:
        dockerd("rm", "-f", *containers)
        if images:
            dockerd("rmi", *images)


def compare(dockerd: Docker, name: str) -> None:
    told = dockerd.container(name)
    with Root(dockerd.machine.root) as root:
        store = reader.read(root, STORE)
        (container,) = (each for each in store.containers if each.name == name)
        trees = agreement.chain([store], agreement.layer(store, container.layer))
        stack = agreement.stacked(root, trees)
        shown = tree(dockerd.machine.root + told["GraphDriver"]["Data"]["MergedDir"])
        assert agreement.differences(agreement.shown(View(stack)), shown) == {}
        changes = dockerd.get(f"/containers/{name}/changes") or []
        assert sorted((each.kind, each.path) for each in diff(stack)) == sorted(
            ("CAD"[each["Kind"]], each["Path"]) for each in changes
        )
        size, targets = agreement.counted(dockerd.machine.root + trees[0])
        accounts = account(stack)
        assert (accounts[0].own.size, size + targets) == (size, told.get("SizeRw", 0))
