"""What is read by CRI of a real containerd is what ``ctr`` says of it, and what the kernel shows of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from netfs.container.engines.cri.read import read
from netfs.model.containers import Container, Engine, Limits
from tests.conformance.containers import pods
from tests.conformance.containers.pods import Pods
from tests.conformance.containers.printed import Netfs, Said, agree

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kubelet(play: Callable[..., Pods]) -> Generator[Pods]:
    """containerd with pods."""
    with ExitStack() as stack:
        yield play(pods.running, pods.PROGRAMS, stack)


@pytest.fixture(scope="module")
def engine(kubelet: Pods) -> Engine:
    """What is read of it."""
    return read(f"{kubelet.machine.root}{pods.SOCKET}", 20)


@pytest.fixture(scope="module")
def named(kubelet: Pods, engine: Engine) -> dict[str, Container]:
    """Its containers, by what they are called."""
    names = {identity: name for name, identity in kubelet.ids.items()}
    return {names[each.id]: each for each in engine.containers}


def version(kubelet: Pods) -> str:
    """As the daemon says it."""
    lines = kubelet.containerd("version").partition("Server:")[2].split()
    return lines[lines.index("Version:") + 1]


def test_all_of_it_is_read(kubelet: Pods, engine: Engine, named: dict[str, Container]) -> None:
    assert (engine.name, engine.version, engine.gaps) == ("containerd", version(kubelet), ())
    assert engine.cgroup_driver == "cgroupfs"
    assert set(named) == set(kubelet.ids)


def test_containers_are_what_ctr_says(kubelet: Pods, named: dict[str, Container]) -> None:
    for name, ours in named.items():
        theirs = kubelet.containerd.container(ours.id, "k8s.io")
        labels = theirs["Labels"]
        assert labels["io.cri-containerd.kind"] == ("container" if "/" in name else "sandbox")
        assert labels.items() >= ours.labels.items()
        assert ours.pod == labels["io.kubernetes.pod.name"] == name.partition("/")[0]
        assert ours.namespace == labels["io.kubernetes.pod.namespace"] == "shop"
        assert ours.pod_uid == labels["io.kubernetes.pod.uid"]
        assert ours.role == labels.get("io.kubernetes.container.name", "sandbox")
        assert ours.name == name.rpartition("/")[2]
        assert ours.called == f"shop/{name if '/' in name else name + '/sandbox'}"
        assert ours.sandbox == (kubelet.ids[ours.pod] if "/" in name else "")
        assert ours.cgroup == theirs["Spec"]["linux"]["cgroupsPath"]
        assert ours.cgroup.startswith(f"{kubelet.machine.group}/kubepods/burstable/pod{ours.pod_uid}/")
        assert list(ours.command) == theirs["Spec"]["process"]["args"]
        assert set(ours.mounts) == {mount["destination"] for mount in theirs["Spec"]["mounts"]}
        assert ours.image_name == pods.IMAGE
        assert ours.runtime == "containerd"
        assert ours.created_at[:16] == theirs["CreatedAt"][:16]


def test_images_are_named_by_their_configuration(kubelet: Pods, named: dict[str, Container]) -> None:
    images = kubelet.containerd("images", "ls", "-q", namespace="k8s.io").split()
    assert named["web/app"].image in images
    assert named["web"].image == ""


def test_processes_are_those_of_ctr_and_of_the_kernel(kubelet: Pods, named: dict[str, Container]) -> None:
    tasks = pods.tasks(kubelet)
    for name, ours in named.items():
        pid, state = tasks.get(ours.id, (None, ""))
        assert (ours.state == "running") == (state == "RUNNING")
        assert ours.pid == pid
        if ours.pid is not None:
            folder = Path(f"{kubelet.machine.root}/proc/{ours.pid}")
            assert tuple((folder / "cmdline").read_text().split("\0")[:-1]) == ours.command
            assert f"{ours.cgroup}\n" in (folder / "cgroup").read_text()
        assert bool(ours.started_at) == (name in {"web/app", "web/done", "agent/app"})
    ended = {name: ours.state for name, ours in named.items() if ours.state != "running"}
    assert ended == {"web/made": "created", "web/done": "exited", "gone": "exited"}
    assert {name for name, ours in named.items() if ours.pid} == {"web", "web/app", "agent", "agent/app"}


def test_network_namespaces_and_addresses_are_the_kernels(kubelet: Pods, named: dict[str, Container]) -> None:
    root = kubelet.machine.root
    for name in ("web", "web/app"):
        kept = os.stat(f"{root}{named[name].netns.replace('/var/run/', '/run/')}").st_ino
        assert kept == os.stat(f"{root}/proc/{named[name].pid}/ns/net").st_ino
        links = json.loads(kubelet.machine.run("nsenter", f"--net={named[name].netns}", "ip", "-j", "addr"))
        addresses = [each for link in links if link["ifname"] == "eth0" for each in link["addr_info"]]
        assert set(named[name].addresses) == {each["local"] for each in addresses if each["scope"] == "global"}
        assert len(named[name].addresses) == 2
    for name in ("agent", "agent/app", "gone"):
        assert (named[name].netns, named[name].addresses) == ("", ())


def test_limits_are_those_of_the_control_groups(named: dict[str, Container]) -> None:
    ours = named["web/app"]
    expected = Limits(50_000, 100_000, 512, memory=64 << 20, memory_swap=64 << 20)
    assert (ours.limits, named["web"].limits) == (expected, Limits(cpu_shares=2))
    hierarchies = Path("/sys/fs/cgroup")
    if (hierarchies / "memory").is_dir():
        read = {
            name: int(Path(f"{hierarchies}/{name.partition('.')[0]}{ours.cgroup}/{name}").read_text())
            for name in ("memory.limit_in_bytes", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares")
        }
        assert list(read.values()) == [64 << 20, 50_000, 100_000, 512]
    else:
        folder = Path(f"{hierarchies}{ours.cgroup}")
        assert (folder / "memory.max").read_text().split() == [str(64 << 20)]
        assert (folder / "cpu.max").read_text().split() == ["50000", "100000"]


def test_a_containerd_without_cri_is_told_by_its_version_alone(kubelet: Pods) -> None:
    path = f"{kubelet.machine.root}{pods.WITHOUT_CRI}"
    assert read(path, 20) == Engine("containerd", f"unix://{path}", version(kubelet))


def said(kubelet: Pods, ours: Container, name: str) -> Said:
    """What ``ctr`` says of a container; of when it was started, and which state it was in last, only CRI does."""
    told = kubelet.containerd.container(ours.id, "k8s.io")
    pid, _ = pods.tasks(kubelet).get(ours.id, (0, ""))
    resources = told["Spec"]["linux"]["resources"]
    return Said(
        called=f"shop/{name}",
        id=told["ID"],
        state={"web/done": "exited", "web/made": "created"}.get(name, "running"),
        runtime="containerd",
        image=told["Image"],
        command=told["Spec"]["process"]["args"],
        pid=pid,
        started=ours.started_at,
        memory=resources["memory"]["limit"],
        cpus=resources["cpu"]["quota"] / resources["cpu"]["period"],
        addresses=ours.addresses,
        top=[" ".join(told["Spec"]["process"]["args"])] if pid else [],
    )


def test_what_the_commands_print_is_what_ctr_says(kubelet: Pods, named: dict[str, Container], netfs: Netfs) -> None:
    names = ("web/app", "agent/app", "web/done", "web/made")
    agree(netfs, kubelet.machine, [said(kubelet, named[name], name) for name in names])
