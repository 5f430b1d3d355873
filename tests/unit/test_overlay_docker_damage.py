"""A store of Docker's that was damaged at random: everything else is still read, and nothing is raised."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from netfs.overlay.disk.root import Root
from netfs.overlay.stores.docker import images as docker_images
from netfs.overlay.stores.docker import layers as docker_layers
from netfs.overlay.stores.docker import store as docker
from netfs.overlay.stores.docker.layers import Records
from netfs.overlay.stores.overlay_directories import LayerFolder
from tests.unit.bolt_writer import database
from tests.unit.docker_store import DockerStore, hexadecimal

SEEDS = 200
VALUES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    10**400,
    1.5,
    "",
    "\0",
    "\ud800",
    "../../x",
    "sha256:x",
    [],
    [None],
    {},
    {"": None},
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DockerStore:
    made = DockerStore(tmp_path_factory.mktemp("damage") / "docker")
    image = made.image("app:1", "base", "packages", "app")
    made.container("web", image)
    made.container("job", image)
    (made.path / "buildkit").mkdir()
    (made.path / "buildkit" / "snapshots.db").write_bytes(database({b"wfqmxjgv3ojv2tj7zzvcb8vxt": {b"parent": b""}}))
    return made


def damaged(random: Random, data: bytes) -> bytes:
    """Cut off, bytes changed, something put in; or, of a document, one value replaced by another."""
    kind = random.randrange(4)
    if kind == 0 or not data:
        return data[: random.randrange(len(data) + 1)]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(random.randint(1, 8)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        return bytes(changed)
    if kind == 2:
        at = random.randrange(len(data))
        return data[:at] + random.choice([b"\0", b"\n", b"[" * 5000, b"9" * 5000, random.randbytes(40)]) + data[at:]
    try:
        document = json.loads(data)
    except ValueError:
        return b""
    return json.dumps(replaced(random, document)).encode()


def replaced(random: Random, document: object) -> object:
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    if not keys or random.random() < 0.3:
        return random.choice(VALUES)
    key = random.choice(keys)
    document[key] = replaced(random, document[key])  # type: ignore[index]  # a dict or a list: it has keys
    return document


@pytest.mark.parametrize("seed", range(SEEDS))
def test_damaged_contents_raise_nothing(store: DockerStore, seed: int) -> None:
    random = Random(seed)
    files = sorted(path for path in store.path.rglob("*") if path.is_file() and not path.is_symlink())
    before = {path: path.read_bytes() for path in random.sample(files, random.randint(1, 3))}
    try:
        for path, data in before.items():
            path.write_bytes(damaged(random, data))
        with Root(str(store.path)) as root:
            found = docker.read(root, "/")
    finally:
        for path, data in before.items():
            path.write_bytes(data)
    assert {hexadecimal("base"), hexadecimal("layer of web")} <= {layer.id for layer in found.layers}
    assert {container.id for container in found.containers} == {
        hexadecimal("container web"),
        hexadecimal("container job"),
    }


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    os.symlink(path.name, path)


def leaving(path: Path) -> None:
    os.symlink("../" * 40 + "etc/passwd", path)


def directory(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    del path


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [fifo, loop, leaving, directory, nothing, huge])
def test_something_else_in_the_place_of_any_file_raises_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    store = DockerStore(tmp_path / "docker")
    store.container("web", store.image("app:1", "base", "app"))
    paths = sorted(path for path in store.path.rglob("*") if path.is_file() or path.is_symlink())
    for path in paths:
        kept = path.with_name("kept")
        path.rename(kept)
        make(path)
        with Root(str(store.path)) as root:
            docker.read(root, "/")
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        kept.rename(path)


def test_a_store_without_anything_in_its_folders_raises_nothing(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "docker")
    with Root(str(store.path)) as root:
        found = docker.read(root, "/")
    assert (found.layers, found.images, found.containers, found.gaps) == ((), (), (), ())


def test_layers_are_missing_where_their_folder_is_gone_and_not_where_it_cannot_be_listed(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "docker")
    store.image("app:1", "base")
    with Root(str(store.path)) as root:
        records = Records(docker_images.read_layers(root, "/image/overlay2/layerdb"))
        shutil.rmtree(store.overlay2)
        (gone,) = docker.read(root, "/").layers
    (unread,) = docker_layers.layers(LayerFolder("/overlay2", listed=False), records)
    assert (gone.id, gone.missing, gone.lower) == (hexadecimal("base"), True, None)
    assert (unread.id, unread.missing, unread.lower) == (hexadecimal("base"), False, None)
