"""Engines' sockets are found in usual places and where they are configured: each once, and never out of the root."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from netfs.container.engines.sockets import Endpoint, found
from netfs.errors import SourceError
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import settings

ENVIRONMENT = ("DOCKER_HOST", "CONTAINER_HOST", "CONTAINER_RUNTIME_ENDPOINT")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def bind(root: Path, path: str) -> None:
    """A socket below the root, however long its path is."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(target.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{folder}/{target.name}")
    os.close(folder)


def write(root: Path, path: str, text: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def told(root: Path) -> list[tuple[str, str]]:
    return [(engine, path.removeprefix(str(root))) for engine, path in found(str(root))]


@pytest.mark.parametrize(
    ("engine", "path"),
    [
        ("docker", "/run/docker.sock"),
        ("podman", "/run/podman/podman.sock"),
        ("docker", "/run/user/1000/docker.sock"),
        ("podman", "/run/user/1000/podman/podman.sock"),
        ("cri", "/run/containerd/containerd.sock"),
        ("cri", "/run/k3s/containerd/containerd.sock"),
        ("cri", "/run/k0s/containerd.sock"),
        ("cri", "/var/snap/microk8s/common/run/containerd.sock"),
        ("cri", "/run/crio/crio.sock"),
        ("cri", "/run/cri-dockerd.sock"),
    ],
)
def test_usual_places(tmp_path: Path, engine: str, path: str) -> None:
    assert found(str(tmp_path)) == ()
    bind(tmp_path, path)
    assert found(str(tmp_path)) == (Endpoint(engine, f"{tmp_path}{path}"),)


def test_only_a_socket_is_one(tmp_path: Path) -> None:
    write(tmp_path, "/run/docker.sock", "")
    (tmp_path / "run/crio/crio.sock").mkdir(parents=True)
    os.mkfifo(tmp_path / "run/cri-dockerd.sock")
    (tmp_path / "run/podman").mkdir()
    (tmp_path / "run/podman/podman.sock").symlink_to("podman.sock")
    assert found(str(tmp_path)) == ()


def test_a_socket_with_two_names_is_told_once(tmp_path: Path) -> None:
    bind(tmp_path, "/run/docker.sock")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    write(tmp_path, "/etc/docker/daemon.json", json.dumps({"hosts": ["unix:///var/run/docker.sock", "unix:///d.sock"]}))
    os.link(tmp_path / "run/docker.sock", tmp_path / "d.sock")
    assert told(tmp_path) == [("docker", "/run/docker.sock")]


def test_a_socket_of_podmans_that_docker_has_a_name_for_is_podmans(tmp_path: Path) -> None:
    bind(tmp_path, "/run/podman/podman.sock")
    (tmp_path / "run/docker.sock").symlink_to("/run/podman/podman.sock")
    assert told(tmp_path) == [("podman", "/run/podman/podman.sock")]


def test_no_way_leads_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    bind(tmp_path, "/outside.sock")
    bind(tmp_path, "/run/crio/crio.sock")
    (root / "run").mkdir(parents=True)
    (root / "run/docker.sock").symlink_to(tmp_path / "outside.sock")
    (root / "run/crio").symlink_to("../../run/crio")
    write(root, "/etc/docker/daemon.json", json.dumps({"hosts": ["unix:///../outside.sock"]}))
    assert found(str(root)) == ()


@pytest.mark.parametrize(
    ("engine", "path", "text"),
    [
        ("docker", "/etc/docker/daemon.json", json.dumps({"hosts": ["fd://", "tcp://0.0.0.0:1", "unix:///x/y.sock"]})),
        ("docker", "/lib/systemd/system/docker.service", "ExecStart=/usr/bin/dockerd -H fd:// -H unix:///x/y.sock"),
        ("docker", "/lib/systemd/system/docker.service", "ExecStart=/usr/bin/dockerd -Hunix:///x/y.sock"),
        ("docker", "/etc/systemd/system/docker.service.d/a.conf", "ExecStart=dockerd --host=unix:///x/y.sock"),
        ("docker", "/lib/systemd/system/docker.service", "ExecStart=dockerd --config-file /d.json"),
        (
            "cri",
            "/etc/crictl.yaml",
            "timeout: 2\nruntime-endpoint: unix:///x/y.sock\nimage-endpoint: unix:///x/z.sock\n",
        ),
        ("cri", "/etc/crictl.yaml", 'runtime-endpoint: "/x/y.sock" # once\n'),
        (
            "cri",
            "/var/lib/kubelet/config.yaml",
            "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///x/y.sock",
        ),
        ("cri", "/etc/containerd/config.toml", 'version = 2\n[grpc]\naddress = "/x/y.sock"\n'),
        ("cri", "/lib/systemd/system/containerd.service", "ExecStart=/usr/bin/containerd -c /c.toml"),
        ("cri", "/lib/systemd/system/containerd.service", "ExecStart=/usr/bin/containerd --address /x/y.sock"),
        ("cri", "/etc/crio/crio.conf", '[crio.api]\nlisten = "/x/y.sock"\n'),
        ("cri", "/etc/crio/crio.conf.d/10-own.conf", '[crio.api]\nlisten = "/x/y.sock"\n'),
        ("cri", "/lib/systemd/system/crio.service", "ExecStart=/usr/bin/crio --listen /x/y.sock"),
        (
            "cri",
            "/lib/systemd/system/kubelet.service",
            "ExecStart=kubelet --container-runtime-endpoint=unix:///x/y.sock",
        ),
    ],
)
def test_configured_places(tmp_path: Path, engine: str, path: str, text: str) -> None:
    bind(tmp_path, "/x/y.sock")
    write(tmp_path, "/d.json", json.dumps({"hosts": ["unix:///x/y.sock"]}))
    write(tmp_path, "/c.toml", '[grpc]\naddress = "/x/y.sock"')
    assert found(str(tmp_path)) == ()
    write(tmp_path, path, text)
    assert told(tmp_path) == [(engine, "/x/y.sock")]


class TestAContainerdWithoutCri:
    SOCKET = "/run/containerd/containerd.sock"
    DISABLED = 'disabled_plugins = ["cri"]\n'

    def test_is_no_endpoint(self, tmp_path: Path) -> None:
        bind(tmp_path, self.SOCKET)
        write(tmp_path, "/etc/containerd/config.toml", self.DISABLED)
        write(tmp_path, "/etc/crictl.yaml", f"runtime-endpoint: unix://{self.SOCKET}\n")
        assert told(tmp_path) == []
        write(tmp_path, "/etc/containerd/config.toml", 'disabled_plugins = ["io.containerd.internal.v1.opt"]\n')
        assert told(tmp_path) == [("cri", self.SOCKET)]

    def test_hides_no_other(self, tmp_path: Path) -> None:
        bind(tmp_path, self.SOCKET)
        bind(tmp_path, "/x/y.sock")
        write(tmp_path, "/etc/containerd/config.toml", f'{self.DISABLED}[grpc]\naddress = "/x/y.sock"\n')
        assert told(tmp_path) == [("cri", self.SOCKET)]

    def test_is_asked_where_its_unit_names_another_configuration(self, tmp_path: Path) -> None:
        bind(tmp_path, self.SOCKET)
        write(tmp_path, "/etc/containerd/config.toml", self.DISABLED)
        write(tmp_path, "/etc/other.toml", "version = 3\n")
        write(tmp_path, "/lib/systemd/system/containerd.service", "ExecStart=containerd --config=/etc/other.toml\n")
        assert told(tmp_path) == [("cri", self.SOCKET)]

    def test_hides_none_where_it_is_told_to_listen_elsewhere(self, tmp_path: Path) -> None:
        bind(tmp_path, self.SOCKET)
        bind(tmp_path, "/x/y.sock")
        write(tmp_path, "/etc/containerd/config.toml", self.DISABLED)
        write(tmp_path, "/lib/systemd/system/containerd.service", "ExecStart=containerd -a /x/y.sock\n")
        assert told(tmp_path) == [("cri", self.SOCKET)]


class TestThisHost:
    """The command lines of its processes and our own environment count; its real sockets are none of this test's."""

    @pytest.fixture
    def ours(self, tmp_path: Path) -> str:
        bind(tmp_path, "/y.sock")
        return f"{tmp_path}/y.sock"

    def engines(self, path: str) -> list[str]:
        return [engine for engine, place in found() if place == path]

    @pytest.mark.parametrize(("name", "engine"), list(zip(ENVIRONMENT, ("docker", "podman", "cri"), strict=True)))
    def test_the_environment_counts(
        self, ours: str, tmp_path: Path, name: str, engine: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.engines(ours) == []
        monkeypatch.setenv(name, f"unix://{ours}")
        assert self.engines(ours) == [engine]
        assert found(str(tmp_path)) == ()
        monkeypatch.setenv(name, f"ssh://{ours}")
        assert self.engines(ours) == []

    @pytest.mark.parametrize(
        ("engine", "command"),
        [
            ("docker", ("/usr/bin/dockerd", "-H", "unix://PATH")),
            ("docker", ("dockerd", "--host=unix://PATH")),
            ("podman", ("/usr/bin/podman", "--root", "/s", "system", "service", "--time=0", "unix:PATH")),
            ("cri", ("containerd", "-a", "PATH")),
            ("cri", ("crio", "--listen", "PATH")),
            ("", ("podman", "run", "-e", "x=1", "unix://PATH")),
            ("", ("another", "--host=unix://PATH")),
        ],
    )
    def test_command_lines_count(
        self, ours: str, engine: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = [word.replace("PATH", ours) for word in command]
        monkeypatch.setattr(
            settings, "running", lambda _, programs: [words] if os.path.basename(words[0]) in programs else []
        )
        assert self.engines(ours) == ([engine] if engine else [])


def test_what_another_user_put_somewhere_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/own/y.sock", "/run/user/1000/docker.sock"):
        bind(tmp_path, path)
    write(tmp_path, "/etc/docker/daemon.json", json.dumps({"hosts": ["unix:///own/y.sock"]}))
    usual, own = ("docker", "/run/user/1000/docker.sock"), ("docker", "/own/y.sock")
    assert told(tmp_path) == [usual, own]
    monkeypatch.setattr(Root, "status", owned_by(4_000_000, Root.status))
    assert told(tmp_path) == [usual]
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    assert told(tmp_path) == [usual, own]


def owned_by(uid: int, status: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    """As if sockets belonged to another, and everything else to root."""

    def told(root: Root, path: str, **more: bool) -> os.stat_result:
        found = list(status(root, path, **more))
        found[4] = uid if path.endswith(".sock") else 0
        return os.stat_result(found)

    return told


def test_a_root_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        found(str(tmp_path / "nothing"))


def test_nothing_that_a_file_says_is_too_much(tmp_path: Path) -> None:
    bind(tmp_path, "/run/docker.sock")
    random = Random(7)
    values = [
        "unix://",
        "unix:///",
        "//",
        "unix:///\0",
        "\ud800",
        "/" + "x/" * 5000,
        5,
        None,
        {"a": 1},
        "unix:////..//",
    ]
    for _ in range(30):
        random.shuffle(values)
        write(tmp_path, "/etc/docker/daemon.json", json.dumps({"hosts": values[: random.randrange(9)]}))
        pieces = ["[grpc]\n", 'address = "\\u0000"\n', "address = 5\n", "disabled_plugins = [[1]]\n", "\0", "[["]
        write(tmp_path, "/etc/containerd/config.toml", "".join(random.choices(pieces, k=4)))
        write(tmp_path, "/etc/crictl.yaml", "runtime-endpoint: " + "".join(random.choices("\0'\"/: \nu", k=9)))
        write(tmp_path, "/lib/systemd/system/docker.service", "ExecStart=" + "".join(random.choices("d'\"\\ -H=", k=9)))
        assert told(tmp_path) == [("docker", "/run/docker.sock")]
