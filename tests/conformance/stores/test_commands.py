"""``netfs layers`` on the stores of real engines that run, and on copies of them: what a user is told is what is so."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netfs_cli.main import main
from tests.conformance.stores import containerd, docker, podman
from tests.conformance.stores.containerd import Containerd
from tests.conformance.stores.docker import Docker
from tests.conformance.stores.podman import Podman

pytestmark = pytest.mark.kernel
Engine = Docker | Containerd | Podman
Ask = Callable[..., tuple[int, Any]]
DOCKER_RUNS = ("on-kit", "on-other", "quiet", "writer")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ask:
    """``ask("ls", "--root", …)``: exit status and document of ``netfs layers ls -o json``."""
    monkeypatch.delenv("NETFS_SOURCE", raising=False)

    def call(*words: str) -> tuple[int, Any]:
        monkeypatch.setattr(sys, "argv", ["netfs", "layers", *words, "-o", "json"])
        status = main()
        captured = capfd.readouterr()
        assert "defect" not in captured.err, captured.err
        return status, json.loads(captured.out) if captured.out else captured.err

    return call


def place(engine: Engine, saved: bool) -> tuple[list[str], str]:
    """How it is said whose stores are meant, and the root that they are below: an engine that runs, or its copy."""
    if saved:
        return ["--root", engine.saved], engine.saved
    return ["--source", f"pid:{engine.machine.pid}"], engine.machine.root


def allocated(*folders: str) -> int:
    """Bytes on disk of everything in some directories, each inode once; of directories nothing."""
    blocks: dict[tuple[int, int], int] = {}
    for folder in folders:
        for here, _, names in os.walk(folder):
            for name in names:
                status = os.lstat(f"{here}/{name}")
                blocks[status.st_dev, status.st_ino] = status.st_blocks
    return 512 * sum(blocks.values())


@pytest.mark.parametrize("saved", [False, True])
def test_ls_names_what_docker_names(dockerd: Docker, ask: Ask, saved: bool) -> None:
    status, told = ask("ls", *place(dockerd, saved)[0])
    assert status == 0
    containers = {each["Names"][0].removeprefix("/"): each for each in dockerd.get("/containers/json?all=1")}
    ours = {each["name"]: each for each in told["chains"] if each["kind"] == "container"}
    assert {name: (each["state"], each["image"]) for name, each in ours.items()} == {
        name: (each["State"], each["ImageID"]) for name, each in containers.items()
    }
    images = {each["Id"] for each in dockerd.get("/images/json?all=1")}
    assert {each["id"] for each in told["chains"] if each["kind"] == "image"} == images


def test_show_answers_whose_a_directory_is(dockerd: Docker, ask: Ask) -> None:
    data = dockerd.container("writer")["GraphDriver"]["Data"]
    own = data["UpperDir"].removesuffix("/diff")
    short = Path(f"{dockerd.machine.root}{own}/link").read_text()
    for target in (own, f"{own}/diff/etc", own.rpartition("/")[2], short, f"l/{short}", f"layer/{short}"):
        status, told = ask("show", target, *place(dockerd, saved=False)[0])
        assert status == 0, target
        assert [each["name"] for each in told["owners"]] == ["writer"]
    image = data["LowerDir"].rpartition(":")[2].removesuffix("/diff")
    _, told = ask("show", image, "--root", dockerd.saved)
    assert {each["name"] for each in told["owners"]} >= {"base:1", "app:1", "writer", "stopped", "imageless"}
    status, told = ask("show", docker.ORPHAN, "--root", dockerd.saved)
    assert (status, told["owners"]) == (0, [])


@pytest.mark.parametrize("saved", [False, True])
def test_which_names_the_layer_and_its_line(dockerd: Docker, ask: Ask, saved: bool) -> None:
    words, root = place(dockerd, saved)
    data = dockerd.image("other:1")["GraphDriver"]["Data"]
    status, told = ask("which", "on-other", "/etc/other", *words)
    assert (status, told["provider"]["path"]) == (0, f"{root}{data['UpperDir']}/etc/other")
    assert told["provider"]["created_by"].endswith("echo other >/etc/other")
    assert Path(told["provider"]["path"]).read_text() == "other\n"
    status, told = ask("which", "writer", "/data/deleted", *words)
    assert (status, told["provider"]) == (1, None)
    assert [each["fate"] for each in told["shadowed"]] == ["whiteout", "hidden", "whiteout", "hidden"]


def test_diff_is_docker_diff(dockerd: Docker, ask: Ask) -> None:
    for name in DOCKER_RUNS:
        status, told = ask("diff", name, *place(dockerd, saved=False)[0])
        assert status == 0
        assert len(told["changes"]) == len(dockerd.get(f"/containers/{name}/changes") or ())


@pytest.mark.parametrize("engine", ["dockerd", "ctr", "pod"])
@pytest.mark.parametrize("saved", [False, True])
def test_usage_is_what_is_allocated(request: pytest.FixtureRequest, ask: Ask, engine: str, saved: bool) -> None:
    words, root = place(request.getfixturevalue(engine), saved)
    status, told = ask("usage", *words)
    assert status == 0
    folders = {"dockerd": [f"{docker.STORE}/overlay2"], "ctr": [containerd.SNAPSHOTS]}
    places = folders.get(engine, [f"{podman.STORE}/overlay", f"{podman.MORE}/overlay"])
    trees = [str(tree) for place in places for name in ("diff", "fs") for tree in Path(root + place).glob(f"*/{name}")]
    assert told["bytes"] == allocated(*trees)
    for each in told["layers"]:
        assert each["own"]["bytes"] == allocated(*(f"{each['path']}/{name}" for name in ("diff", "fs")))


def test_orphans_are_those_of_docker(dockerd: Docker, ask: Ask) -> None:
    for words, root in (place(dockerd, saved) for saved in (False, True)):
        status, told = ask("orphans", *words)
        assert status == 0
        assert [each["id"] for each in told["orphans"]] == [docker.ORPHAN]
        assert {(each["slug"], each["object"]) for each in told["findings"]} >= {
            ("layer-link-dangling", f"{root}{docker.STORE}/overlay2/l/{docker.DANGLING}")
        }
        assert len(told["findings"]) == 2


def test_orphans_are_those_of_podman(pod: Podman, ask: Ask) -> None:
    for words, _ in (place(pod, saved) for saved in (False, True)):
        _, told = ask("orphans", *words)
        assert [each["id"] for each in told["orphans"]] == [podman.ORPHAN]
        assert sorted(each["slug"] for each in told["findings"]) == ["layer-link-dangling", "layer-orphan"]


def test_orphans_are_those_of_containerd(ctr: Containerd, ask: Ask) -> None:
    for words, _ in (place(ctr, saved) for saved in (False, True)):
        _, told = ask("orphans", *words)
        found = {each["id"]: each["own"]["files"] for each in told["orphans"]}
        assert found[containerd.ORPHAN] == 1
        # beside it what was given up, and views that nothing holds: these have no files of their own
        assert len(found) > 1
        assert sum(found.values()) == 1
        assert not told["undecided"]


@pytest.mark.parametrize(("engine", "running"), [("dockerd", 4), ("ctr", 5), ("pod", 4)])
def test_verify_finds_no_difference(request: pytest.FixtureRequest, ask: Ask, engine: str, running: int) -> None:
    words, root = place(request.getfixturevalue(engine), saved=False)
    _, told = ask("verify", "--content", *words)
    # a machine inherits what is mounted elsewhere
    mounts = [each for each in told["mounts"] if each["chain"]["kind"] == "container"]
    assert len(mounts) == running
    for each in mounts:
        assert (each["differences"], each["skipped"], each["gaps"]) == ([], [], [])
        assert each["entries"] > 100
    merged = next(each["chain"]["mountpoint"] for each in mounts if each["chain"]["name"] == "writer")
    assert stat.S_ISFIFO(os.lstat(f"{root}{merged}/var/fifo").st_mode)


def test_a_pod_of_containerd_is_asked_by_its_name(ctr: Containerd, ask: Ask) -> None:
    for target in ("shop/web", "web", "server", "pod/web"):
        status, told = ask("which", target, "/etc/served", *place(ctr, saved=False)[0])
        assert (status, told["chain"]["name"]) == (0, "shop/web/server"), target
        assert Path(told["provider"]["path"]).read_text() == "served\n"


def test_a_damaged_copy_is_told_and_not_guessed(dockerd: Docker, ask: Ask) -> None:
    """A layer is removed behind the daemon's back, and what lies above it says so."""
    data = dockerd.container("writer")["GraphDriver"]["Data"]
    own = dockerd.machine
    root = own.copy(docker.STORE)
    gone = data["LowerDir"].split(":")[1].removesuffix("/diff")
    own.run("rm", "-r", f"{root.removeprefix(own.root)}{gone}")
    status, told = ask("orphans", "--root", root)
    assert status == 1
    missing = {each["object"] for each in told["findings"] if each["slug"] == "layer-lower-missing"}
    assert missing >= {"container writer", "container quiet", "image app:1"}
    assert missing.isdisjoint({"container stopped", "image base:1", "image kit:1", "container on-kit"})
    assert [each["id"] for each in told["orphans"]] == [docker.ORPHAN]
    for words in (("which", "writer", "/data/mode"), ("show", "writer"), ("diff", "writer")):
        status, told = ask(*words, "--root", root)
        assert status == 3, words
        assert [each["where"] for each in told["gaps"]] == [gone.rpartition("/")[2][:12]]
