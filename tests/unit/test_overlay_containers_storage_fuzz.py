"""A store of containers-storage of which any file is damaged, replaced or gone: it is read, or refused, never worse."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.model.layers import Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containers_storage.store import read
from tests.unit.storage_store import StorageStore, conf, hexadecimal, leave_in_log

DIFF = "sha256:" + "1" * 64
ODD: list[object] = [
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "\ud800",
    "../..",
    "/",
    "a\0b",
    [],
    [[]],
    {},
    {"id": []},
    10**400,
    "x" * 5000,
]


@pytest.fixture
def store(tmp_path: Path) -> StorageStore:
    conf(tmp_path, '[storage.options]\nadditionalimagestores = ["/mnt/shared"]')
    shared = StorageStore(tmp_path, "/mnt/shared")
    shared.layer("base", written={"diff-digest": DIFF})
    image = shared.image("base", "shared:1", diffs=(DIFF,), history=[{"created_by": "ADD"}])
    shared.write()
    made = StorageStore(tmp_path)
    made.layer("own")
    made.layer("top", "own", written={"diff-digest": DIFF, "flags": {"incomplete": False}, "names": ["x"]})
    own = made.image("top", "own:1", diffs=(DIFF, DIFF), history=[{"created_by": "ADD"}, {"created_by": "RUN"}])
    made.layer("web", "base")
    web = made.container("web", image)
    made.layer("cri", "top", "own")
    cri = made.container("cri", own, {"pod-id": hexadecimal("container cri"), "metadata-name": "pod"}, volatile=True)
    made.userdata(cri, "config.json", {"annotations": {"io.kubernetes.cri-o.Labels": "{}"}, "mounts": [{}]})
    made.userdata(cri, "state.json", {"status": "running", "pid": 7})
    config = {"name": "web", "pod": "p", "namedVolumes": [{}], "spec": {"mounts": [{}]}}
    made.bolt({web: (config, {"state": 3})}, {"p": ({"name": "pod"}, {"InfraContainerID": web})})
    made.sqlite({web: (config, {"state": 3})}, {"p": ({"name": "pod"}, {"InfraContainerID": web})})
    leave_in_log(made.here / "db.sql", """UPDATE ContainerState SET JSON = '{"state": 6}'""")
    return made.write()


def cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


def change_a_value(path: Path, chance: random.Random) -> None:
    """Another value somewhere in a JSON document; random bytes where it is none."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        path.write_bytes(chance.randbytes(60))
        return
    path.write_text(json.dumps(_changed(document, chance)))


def _changed(value: object, chance: random.Random) -> object:
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def make_a_fifo(path: Path, chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_directory(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def make_a_loop(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


HARM: list[Callable[[Path, random.Random], None]] = [
    *(cut, flip, flip, change_a_value, change_a_value, change_a_value),
    *(remove, make_a_fifo, make_a_directory, make_a_loop),
]


def test_whatever_happened_to_its_files_a_store_is_read(store: StorageStore, tmp_path: Path) -> None:
    assert of(store).gaps == ()
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    kept = {path: path.read_bytes() for path in files if not path.is_symlink()}
    for seed in range(200):
        chance = random.Random(seed)
        harmed = chance.sample(sorted(kept), chance.choice([1, 1, 1, 2, 4]))
        for path in harmed:
            chance.choice(HARM)(path, chance)
        with suppress(SourceError):
            found = of(store)
            assert all(layer.id and "/" not in layer.id for layer in found.layers), seed
            assert {layer.path.rpartition("/")[0] for layer in found.layers} <= {
                f"{store.path}/overlay",
                "/mnt/shared/overlay",
            }, seed
        for path in harmed:
            _restore(path, kept[path])


def test_links_and_folders_that_are_something_else_are_told(store: StorageStore) -> None:
    links = store.here / "overlay/l"
    names = os.listdir(links)
    for target in ("/etc/passwd", "../../../../etc", "../x/diff", ".", "../" + "y" * 200 + "/diff"):
        path = links / names[0]
        path.unlink()
        path.symlink_to(target)
        assert len(of(store).layers) >= 4
    shutil.rmtree(links)
    links.write_text("")
    assert len(of(store).layers) >= 4


def of(store: StorageStore) -> Store:
    with Root(str(store.machine)) as root:
        return read(root, store.path)


def _restore(path: Path, data: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(data)
