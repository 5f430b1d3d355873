"""What the path of a control group says of a container: the forms of every runtime and driver."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfs.collect.cgroups.paths import RUNTIMES, Recognised, recognise

ID, NODE, PODMAN_POD = "c0ffee" * 10 + "c0ff", "0de0" * 16, "90d" * 21 + "9"
UID = "6f3c1a52-0b1e-4a57-9d5c-2a1b3c4d5e6f"
UID_ = UID.replace("-", "_")
STATIC = "89f4f2cb511c3b0b7e5272cff5ec37bf"
AT_HOME = "/user.slice/user-1000.slice/user@1000.service/user.slice"
CONTAINERS = {
    # the kubelet, cgroupfs
    f"/kubepods/burstable/pod{UID}/{ID}": ("", UID, "burstable", "cgroupfs"),
    f"/kubepods/besteffort/pod{UID}/{ID}": ("", UID, "besteffort", "cgroupfs"),
    f"/kubepods/pod{UID}/{ID}": ("", UID, "guaranteed", "cgroupfs"),
    f"/kubepods/burstable/pod{STATIC}/{ID}": ("", STATIC, "burstable", "cgroupfs"),
    f"/kubepods/podany-text-1/{ID}": ("", "any-text-1", "guaranteed", "cgroupfs"),
    f"/kubepods/burstable/pod{UID}/crio-{ID}": ("cri-o", UID, "burstable", "cgroupfs"),
    # the kubelet, systemd
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope": (
        "containerd",
        UID,
        "burstable",
        "systemd",
    ),
    f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope": ("cri-o", UID, "guaranteed", "systemd"),
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{ID}.scope": (
        "docker",
        UID,
        "besteffort",
        "systemd",
    ),
    f"/kubepods.slice/kubepods-pod{STATIC}.slice/containerd-{ID}.scope": (
        "containerd",
        STATIC,
        "guaranteed",
        "systemd",
    ),
    "/kubepods.slice/kubepods-pod" + UID.replace("-", "\\x2d") + f".slice/crio-{ID}.scope": (
        "cri-o",
        UID,
        "guaranteed",
        "systemd",
    ),
    f"/kubepods.slice/kubepods-pod{UID_}.slice/cri\\x2dcontainerd-{ID}.scope": (
        "containerd",
        UID,
        "guaranteed",
        "systemd",
    ),
    f"/kubepods.slice/kubepods-pod{UID_}.slice/{ID}": ("", UID, "guaranteed", "cgroupfs"),  # Kata
    # another root of the kubelet's
    f"/own/root/kubepods/burstable/pod{UID}/{ID}": ("", UID, "burstable", "cgroupfs"),
    f"/own.slice/own-kubepods.slice/own-kubepods-pod{UID_}.slice/crio-{ID}.scope": (
        "cri-o",
        UID,
        "guaranteed",
        "systemd",
    ),
    # Docker
    f"/docker/{ID}": ("docker", "", "", "cgroupfs"),
    f"/system.slice/docker-{ID}.scope": ("docker", "", "", "systemd"),
    f"{AT_HOME}/docker-{ID}.scope": ("docker", "", "", "systemd"),
    f"/mine/{ID}": ("", "", "", "cgroupfs"),
    f"/mine.slice/docker-{ID}.scope": ("docker", "", "", "systemd"),
    # Podman
    f"/machine.slice/libpod-{ID}.scope": ("podman", "", "", "systemd"),
    f"/machine.slice/machine-libpod_pod_{PODMAN_POD}.slice/libpod-{ID}.scope": ("podman", PODMAN_POD, "", "systemd"),
    f"{AT_HOME}/libpod-{ID}.scope": ("podman", "", "", "systemd"),
    f"{AT_HOME}/user-libpod_pod_{PODMAN_POD}.slice/libpod-{ID}.scope": ("podman", PODMAN_POD, "", "systemd"),
    f"/libpod_parent/libpod-{ID}": ("podman", "", "", "cgroupfs"),
    f"/libpod_parent/{PODMAN_POD}/libpod-{ID}": ("podman", PODMAN_POD, "", "cgroupfs"),
    f"/mine/{PODMAN_POD}/libpod-{ID}": ("podman", PODMAN_POD, "", "cgroupfs"),  # --cgroup-parent of its own
    f"/{PODMAN_POD}/libpod-{ID}": ("podman", PODMAN_POD, "", "cgroupfs"),
    f"/system.slice/web.service/libpod-payload-{ID}": ("podman", "", "", "cgroupfs"),
    # containerd without an orchestrator
    "/default/c1": ("containerd", "", "", "cgroupfs"),
    f"/default/{ID}": ("containerd", "", "", "cgroupfs"),
    "/k8s.io/c-1.a": ("containerd", "", "", "cgroupfs"),
    f"/team/{ID}": ("", "", "", "cgroupfs"),
    f"/system.slice/nerdctl-{ID}.scope": ("containerd", "", "", "systemd"),
    "/docker/buildkit/" + "a1b2c" * 5: ("", "", "", "cgroupfs"),
    # systemd's form in the hands of a runtime that makes directories
    f"/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{ID}": (
        "containerd",
        UID,
        "burstable",
        "cgroupfs",
    ),
    "/system.slice:docker:web1": ("docker", "", "", "cgroupfs"),
    # whatever else names an id
    f"/any/other-{ID}.scope": ("", "", "", "systemd"),
    f"/kata_{ID}": ("", "", "", "cgroupfs"),
    # from within a control group namespace, and of a group that is gone
    f"/../crio-{ID}.scope": ("cri-o", "", "", "systemd"),
    f"/docker/{ID} (deleted)": ("docker", "", "", "cgroupfs"),
    # the lab
    f"/netfs-lab-x/kubepods/pod{UID}/{ID}": ("lab", UID, "guaranteed", "cgroupfs"),
    f"/user.slice/netfs-lab-x/kubepods/pod{UID}/{ID}": ("lab", UID, "guaranteed", "cgroupfs"),
}


def the_id(path: str) -> str:
    short = {"c1", "c-1.a", "web1", "a1b2c" * 5}
    return next((name for name in short if path.endswith(("/" + name, ":" + name))), ID)


@pytest.mark.parametrize("inside", ["", "/init.scope", "/system.slice/ssh.service", "/container"])
@pytest.mark.parametrize(("path", "told"), CONTAINERS.items(), ids=str)
def test_a_container_and_what_is_inside_it(path: str, told: tuple[str, ...], inside: str) -> None:
    if inside:
        path = path.removesuffix(" (deleted)")
    group = path.removesuffix(" (deleted)")
    runtime, uid, qos, driver = told
    assert recognise(path + inside) == Recognised("container", the_id(path), runtime, uid, qos, driver, "", group)


@pytest.mark.parametrize(
    ("path", "told"),
    {
        f"/kubepods/burstable/pod{UID}": ("", UID, "burstable", "cgroupfs"),
        f"/kubepods/pod{STATIC}": ("", STATIC, "guaranteed", "cgroupfs"),
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice": (
            "",
            UID,
            "besteffort",
            "systemd",
        ),
        f"/machine.slice/machine-libpod_pod_{PODMAN_POD}.slice": ("podman", PODMAN_POD, "", "systemd"),
        f"/libpod_parent/{PODMAN_POD}": ("podman", PODMAN_POD, "", "cgroupfs"),
    }.items(),
    ids=str,
)
@pytest.mark.parametrize("inside", ["", "/inner"])
def test_a_pod(path: str, told: tuple[str, ...], inside: str) -> None:
    runtime, uid, qos, driver = told
    assert recognise(path + inside) == Recognised(
        "pod", runtime=runtime, pod_uid=uid, qos=qos, driver=driver, group=path
    )


SLICES = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
INNER = {
    f"/kubelet/kubepods/burstable/pod{UID}": ("", "cgroupfs"),
    f"{SLICES}/kubelet-kubepods-burstable-pod{UID_}.slice": (
        "cri-containerd-",
        "systemd",
    ),
}


@pytest.mark.parametrize(
    "node", [f"/system.slice/docker-{NODE}.scope", f"/docker/{NODE}", f"/mine/libpod-{NODE}.scope"]
)
@pytest.mark.parametrize(("pod", "form"), INNER.items(), ids=str)
def test_a_node_that_is_a_container(node: str, pod: str, form: tuple[str, str]) -> None:
    prefix, driver = form
    group = f"{node}{pod}"
    told = recognise(group)
    assert told == Recognised("pod", "", "", UID, "burstable", driver, NODE, group)
    path = f"{group}/{prefix}{ID}{'.scope' if prefix else ''}"
    runtime = "containerd" if prefix else ""
    assert recognise(path) == Recognised("container", ID, runtime, UID, "burstable", driver, NODE, path)
    assert recognise(f"{path}/init.scope") == recognise(path)
    of_node = recognise(f"{node}/kubelet.slice/kubelet.service")
    assert of_node is not None
    assert (of_node.container, of_node.node_container, of_node.group) == (NODE, "", node)


def test_a_container_in_a_pods_container_is_not_that_pods() -> None:
    path = f"/kubepods/pod{UID}/{NODE}/docker/{ID}"
    assert recognise(path) == Recognised("container", ID, "docker", "", "", "cgroupfs", NODE, path)


def test_ctrs_form_is_known_within_a_node_as_well() -> None:
    found = recognise(f"/docker/{NODE}/default/c1")
    assert found is not None
    assert (found.container, found.node_container) == ("c1", NODE)


def test_a_group_of_the_same_name_below_is_inside() -> None:
    found = recognise(f"/docker/{ID}/docker/{ID}")
    assert found is not None
    assert (found.container, found.node_container, found.group) == (ID, "", f"/docker/{ID}")


@pytest.mark.parametrize(
    ("path", "runtime", "container", "uid"),
    [
        (f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{ID}.scope", "cri-o", ID, UID),
        (f"/kubepods/pod{UID}/crio-conmon-{ID}", "cri-o", ID, UID),
        (f"/machine.slice/libpod-conmon-{ID}.scope", "podman", ID, ""),
        (f"{AT_HOME}/libpod-conmon-{ID}.scope", "podman", ID, ""),
        ("/libpod_parent/conmon", "podman", "", ""),
        (f"/libpod_parent/{PODMAN_POD}/conmon", "podman", "", PODMAN_POD),
        (f"/mine/{PODMAN_POD}/conmon", "podman", "", PODMAN_POD),
    ],
)
def test_a_monitor_is_no_container(path: str, runtime: str, container: str, uid: str) -> None:
    found = recognise(path)
    assert found is not None
    assert (found.kind, found.runtime, found.container, found.pod_uid) == ("monitor", runtime, container, uid)
    assert found.group == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/system.slice/crio-wipe.service",
        "/docker",
        "/docker/web",
        "/kubepods",
        "/kubepods/burstable",
        "/kubepods.slice/kubepods-burstable.slice",
        "/kubepods.slice/kubepods-podlike.service",
        "/default",
        "/team/c1",
        "/system.slice/default/c1",
        "/default/no space",
        "/default/..",
        "/machine.slice/machine-web.scope",
        "/podman/pods",
        "/system.slice/podman.service",
        f"/system.slice/var-lib-docker-overlay2-{ID}-merged.mount",
        f"/system.slice/{ID}.mount",
        f"/system.slice/{ID}.service",
        f"/system.slice/{ID}-1f2e.timer",
        f"/mine/{ID}0",
        f"/mine/g{ID}",
        f"/mine/{ID.upper()}",
        f"/mine/{ID[:63]}",
        f"/mine/x{UID}",
        "/a.slice:unknown:c1",
        "/a.slice:docker:",
        "/docker/buildkit/short",
    ],
)
def test_an_ordinary_word_is_no_container(path: str) -> None:
    assert recognise(path) is None


WORDS = st.sampled_from(
    [
        *("docker", "kubepods", "burstable", "default", "libpod_parent", "conmon", "init.scope", ID, NODE, "", ".."),
        *(f"pod{UID}", f"kubepods-pod{UID_}.slice", f"libpod_pod_{NODE}.slice", "a:docker:b", "pod", ".slice", "\\x2d"),
        *(f"{prefix}-{ID}.scope" for prefix in RUNTIMES),
    ]
)


@example("/" + "kubepods-pod" * 300)
@given(st.text() | st.lists(WORDS | st.text(max_size=8)).map("/".join))
def test_any_text_is_taken(path: str) -> None:
    found = recognise(path)
    assert found is None or (path == found.group or path.startswith((f"{found.group}/", f"{found.group} (deleted)")))
    assert found is None or found.kind in ("container", "pod", "monitor")
