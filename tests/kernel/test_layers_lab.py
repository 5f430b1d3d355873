"""``netfs layers`` over a running lab: its pods have overlays from stores as Docker writes them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import netfs
import netfs.lab
from netfs.lab.state import LabState
from netfs.overlay.chains import Chain
from netfs.overlay.disk.root import Root
from netfs.overlay.layer_stores import LayerStores
from netfs.overlay.verify import compare
from netfs_cli.run import run

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    name = f"layers-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    made = netfs.lab.up(name)
    try:
        yield made
    finally:
        netfs.lab.down(name)


@pytest.fixture
def mounted(lab: LabState) -> LabState:
    """A lab whose pods have overlays."""
    if any("overlay" in note for note in lab.notes):
        pytest.skip("this host lets the caller mount no overlay")
    return lab


@pytest.fixture
def stores(lab: LabState) -> Iterator[LayerStores]:
    with netfs.layers(f"lab:{lab.name}") as found:
        yield found


def test_ls_has_every_pod_on_its_node(lab: LabState, stores: LayerStores) -> None:
    answer = stores.ls()
    assert [(chain.node, chain.name, chain.state) for chain in answer.chains if chain.kind == "container"] == [
        (node, f"default/{pod}/app", "running")
        for node, pod in (("node1", "pod-a"), ("node1", "pod-c"), ("node2", "pod-b"), ("node2", "pod-d"))
    ]
    assert [chain.node for chain in answer.chains if chain.kind == "image"] == ["node1", "node2"]
    assert {chain.kind for chain in answer.chains} == {"container", "image"}
    assert all(chain.shared for chain in answer.chains)
    assert answer.gaps == ()


def test_show_a_pod_and_the_directory_that_is_its(lab: LabState, stores: LayerStores) -> None:
    shown = stores.show("pod-a")
    assert [layer.role for layer in shown.layers] == ["container", "init", "image", "image", "image"]
    assert all(layer.account is not None for layer in shown.layers)
    again = stores.show(f"{shown.layers[0].path}/diff/etc")
    assert [owner.name for owner in again.owners] == ["default/pod-a/app"]
    image = stores.show(shown.layers[-1].path)
    assert sorted(owner.name for owner in image.owners) == sorted(
        ["default/pod-a/app", "default/pod-c/app", *shown.layers[-1].used_by[2:]]
    )


def test_which_tells_where_a_file_is_from(lab: LabState, stores: LayerStores) -> None:
    motd = stores.which("pod-a", "/etc/motd")
    assert motd.provider is not None
    assert motd.provider.role == "image"
    assert motd.provider.created_by == "RUN /bin/sh -c sh /src/install.sh # buildkit"
    assert Path(motd.provider.path).read_text() == "application layer\n"
    assert [Path(each.path).read_text() for each in motd.shadowed] == ["base layer\n"]
    hostname = stores.which("default/pod-c", "etc/hostname")
    assert hostname.provider is not None
    assert hostname.provider.role == "container"
    assert Path(hostname.provider.path).read_text() == "pod-c\n"


def test_which_finds_hosts_through_the_command_line(lab: LabState, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["layers", "which", "pod-a", "/etc/hosts", "--source", f"lab:{lab.name}", "-o", "json"]
    assert run(words, program="netfs") == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["provider"]["role"] == "init"
    assert [each["role"] for each in answer["shadowed"]] == ["image"]


def test_diff_is_what_the_pod_wrote(mounted: LabState, stores: LayerStores) -> None:
    changes = {(change.kind, change.path) for change in stores.diff("pod-b").changes}
    assert {("C", "/etc/hostname"), ("D", "/etc/issue"), ("A", "/var/log/server.log"), ("C", "/etc")} <= changes


def test_diff_sees_what_is_written_meanwhile(mounted: LabState, stores: LayerStores) -> None:
    chain = next(chain for chain in stores.chains if chain.name == "default/pod-d/app")
    assert chain.mount is not None
    script = f"cd {chain.mount.mountpoint}/etc && echo new >made && rm os-release && mkdir folder && echo >folder/in"
    assert netfs.lab.execute(mounted.name, "pod-d", ["sh", "-c", script]) == 0
    changes = {(change.kind, change.path) for change in stores.diff("pod-d").changes}
    assert {("A", "/etc/made"), ("D", "/etc/os-release"), ("A", "/etc/folder"), ("A", "/etc/folder/in")} <= changes
    which = stores.which("pod-d", "/etc/os-release")
    assert which.provider is None
    assert [each.fate for each in which.shadowed] == ["whiteout", "hidden"]
    assert not any(found.differences or found.gaps for found in stores.verify("pod-d", content=True))


def test_usage_counts_what_pods_of_a_node_share_once(lab: LabState, stores: LayerStores) -> None:
    usage = stores.usage()
    assert usage.bytes == sum(layer.own.bytes for layer in usage.layers)
    assert len(usage.layers) == 2 * (3 + 2 * 2)
    assert usage.orphaned == 0
    pod = next(each for each in usage.chains if each.chain.name == "default/pod-a/app")
    assert 0 < pod.wasted < pod.bytes < usage.bytes
    assert usage.gaps == ()


def test_a_healthy_lab_has_no_orphans_and_a_planted_one_is_found(lab: LabState, stores: LayerStores) -> None:
    answer = stores.orphans()
    assert (answer.orphans, answer.findings, answer.undecided, answer.gaps) == ((), (), (), ())
    store = next(store for store in stores.stores if store.node == "node2")
    lost = Path(store.path) / "overlay2" / ("0" * 60 + "dead")
    (lost / "diff").mkdir(parents=True)
    try:
        with netfs.layers(f"lab:{lab.name}") as again:
            assert [(orphan.node, orphan.path) for orphan in again.orphans().orphans] == [("node2", str(lost))]
    finally:
        shutil.rmtree(lost)


def test_verify_finds_no_difference(mounted: LabState, stores: LayerStores) -> None:
    found = stores.verify(content=True)
    assert len(found) == 4
    for each in found:
        assert (each.differences, each.more, each.gaps) == ((), 0, ())
        assert each.entries > 40


@pytest.mark.parametrize("wrong", ["layer", "option"])
def test_verify_sees_what_is_merged_wrongly(mounted: LabState, stores: LayerStores, wrong: str) -> None:
    """The application's layer left out; marks looked for by the other name."""
    chain = next(chain for chain in stores.chains if chain.name == "default/pod-a/app")
    assert chain.mount is not None
    mount = chain.mount
    options = replace(mount.options, userxattr=not mount.options.userxattr)
    other = {
        "layer": replace(chain, layers=chain.layers[:2] + chain.layers[3:]),
        "option": replace(chain, mount=replace(mount, options=options)),
    }
    found = {"right": differences(stores, chain), "wrong": differences(stores, other[wrong])}
    assert found["right"] == set()
    expected = {
        "layer": {("/app/server", "name"), ("/etc/motd", "size"), ("/etc/motd", "content")},
        "option": {("/usr/share/doc/copyright", "name"), ("/usr/share/doc/libssl3", "name")},
    }
    assert expected[wrong] <= found["wrong"]


def differences(stores: LayerStores, chain: Chain) -> set[tuple[str, str]]:
    """Of a chain's merged view from what the kernel has at its mount point: path and kind."""
    assert chain.mount is not None
    view, _ = stores.view(chain)
    with Root(f"/proc/{chain.mount.pid}/root") as root:
        kernel = root.tree(chain.mount.mountpoint).root
        found = compare(view, view.root, kernel, content=True, progress=lambda _: None)
    assert found.skipped == []
    return {(each.path, each.what) for each in found.differences}
