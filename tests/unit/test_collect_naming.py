"""What a namespace is called after its container, by the control groups of its first process."""

from __future__ import annotations

import pytest

from netfs.collect import naming
from netfs.collect.discovery import Place
from netfs.model.snapshot import Container

ID = "c0ffee" * 10 + "c0ff"


def told(monkeypatch: pytest.MonkeyPatch, cgroup: str) -> Container | None:
    files = {"/proc/7/cgroup": cgroup, "/proc/7/comm": "sleep\n"}
    monkeypatch.setattr(naming, "_read", lambda path: files.get(path, ""))
    place = Place(4026531840, "/proc/7/ns/net")
    place.pids = [7, 8]
    found = naming.container_of(place)
    assert naming.name_of(place) == (found.name if found is not None else "sleep")
    return found


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        (f"/docker/{ID}", "docker"),
        (f"/system.slice/docker-{ID}.scope/init.scope", "docker"),
        (f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", "containerd"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        (f"/mine/{ID}", None),
        (f"/docker/{'0de0' * 16}/kubelet/kubepods/pod1/{ID}", None),
    ],
)
def test_the_innermost_container_names_it(monkeypatch: pytest.MonkeyPatch, path: str, runtime: str | None) -> None:
    cgroup = f"12:pids:/\n11:memory:{path}\n1:name=systemd:{path}\n0::/\n"
    assert told(monkeypatch, cgroup) == Container(ID[:12], ID, runtime=runtime, pid=7)


@pytest.mark.parametrize(
    "cgroup",
    [
        "",
        "0::/\n",
        "0::/init.scope\n",
        f"0::/system.slice/var-lib-docker-overlay2-{ID}-merged.mount\n",
        f"0::/machine.slice/libpod-conmon-{ID}.scope\n",
        f"0::/kubepods/burstable/pod{ID[:32]}\n",
        f"0::/a\x0bb\u2028/docker\x0c{ID}\n",
        "no lines: of the kind",
    ],
)
def test_what_is_no_container_names_nothing(monkeypatch: pytest.MonkeyPatch, cgroup: str) -> None:
    assert told(monkeypatch, cgroup) is None
