"""containers-storage: the store of Podman, Buildah and CRI-O (containers/storage).

::

    overlay/ID/                              a layer's directory (``layers``)
    overlay-layers, -images, -containers     the lists (``records``)
    overlay-images/ID/{manifest,=BASE64}     documents of an image (``images``)
    overlay-containers/ID/userdata           what the engine above keeps (``crio``)
    libpod/bolt_state.db, db.sql             what Podman knows (``libpod``)

Layers and images of another store (``conf``: an additional image store) are told as if they were in this one,
as far as something in here needs them; their paths say where they are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace

from netfs.errors import SourceError
from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS, Image, MountOptions, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, oci
from netfs.overlay.stores.containers_storage import conf, crio, images, layers, libpod, userdata
from netfs.overlay.stores.containers_storage.conf import Configuration
from netfs.overlay.stores.containers_storage.layers import COMPOSEFS, Shelf, Shelves
from netfs.overlay.stores.containers_storage.libpod import Libpod
from netfs.overlay.stores.containers_storage.records import ContainerRecord, Records, read_containers
from netfs.overlay.stores.containers_storage.records import read as read_records
from netfs.overlay.stores.members import Members

ENGINE = "containers-storage"
DRIVER = "overlay"
_PODMAN = "podman"
_LISTS = ("overlay-layers", "overlay-images", "overlay-containers")


def read(root: Root, path: str) -> Store:
    """The store at ``path`` (``graphroot``), or its folder ``overlay`` alone. Raises SourceError: there is none."""
    home = _home(root, path)
    configured = conf.read(root, path)
    podman = libpod.read(root, path, configured.runroots)
    runroots = _runroots(configured, podman)
    records = read_records(root, path, runroots)
    others = [place for place in configured.others if root.is_directory(posixpath.join(place, DRIVER))]
    shelves = layers.read(root, path, home, records, others)
    gaps = [*shelves.own.folder.gaps, *records.gaps, *podman.gaps, *_unfit(root, path, home)]
    containers = _containers(root, records, podman, (*runroots, path), gaps)
    known = _images(root, shelves, containers, gaps)
    tops = [image.layers[0] for image in known if image.layers]
    tops += [layer for record in records.images.values() for layer in record.mapped]
    stacked = layers.layers(shelves, tops, [each.layer for each in containers if each.layer], gaps)
    folders = {posixpath.dirname(layer.path) for layer in stacked}
    used = [shelf.path for shelf in shelves.others if shelf.folder.path in folders]
    return Store(
        engine=ENGINE,
        path=path,
        root=root.path,
        driver=DRIVER,
        options=_options(root, home, conf.is_rootless(root, path, podman.graphroot), shelves.own, configured),
        layers=stacked,
        images=known,
        containers=containers,
        links=shelves.own.folder.links,
        notes=(*(f"it uses images of {place}" for place in used), *_passing(root, home)),
        gaps=tuple(gaps),
    )


def members(root: Root, path: str) -> Members:
    """The containers alone of the store at ``path``."""
    configured = conf.read(root, path)
    podman = libpod.read(root, path, configured.runroots)
    runroots = _runroots(configured, podman)
    records = read_containers(root, path, runroots)
    gaps = [*records.gaps, *podman.gaps]
    return Members(_containers(root, records, podman, (*runroots, path), gaps), tuple(gaps))


def _runroots(configured: Configuration, podman: Libpod) -> list[str]:
    """Folders with what need not survive a restart."""
    places = dict.fromkeys((*configured.runroots, podman.runroot))
    return [place for place in places if place.startswith("/")]


def _home(root: Root, path: str) -> str:
    """Where the layers' directories are."""
    if any(root.is_directory(posixpath.join(path, name)) for name in (*_LISTS, f"{DRIVER}/l")):
        return posixpath.join(path, DRIVER)
    if root.is_directory(posixpath.join(path, "l")):
        return path
    raise SourceError("no store of containers-storage: it has no overlay/l", where=root.on_host(path))


def _containers(
    root: Root, records: Records, podman: Libpod, places: Sequence[str], gaps: list[Gap]
) -> tuple[Container, ...]:
    """``places``: folders with ``overlay-containers``."""
    containers = []
    for record in records.containers.values():
        if crio.is_crio(record):
            container = crio.container(root, record, records.containers, places, gaps)
        else:
            container = _podman(root, record, podman, places, gaps)
        image = record.image or documents.text(record.metadata, "image-id")
        containers.append(
            replace(
                container,
                name=container.name or next(iter(record.names), ""),
                image=images.identity(image),
                layer=record.layer,
                created_at=record.created_at,
            )
        )
    return tuple(containers)


def _podman(root: Root, record: ContainerRecord, podman: Libpod, places: Sequence[str], gaps: list[Gap]) -> Container:
    """A container of Podman; of Buildah, where libpod does not know it. Once it was started, its mounts are known."""
    known = podman.containers.get(record.id, libpod.PodmanContainer())
    config = userdata.document(root, record.id, places, "config.json", gaps)
    ran = oci.runtime(config)
    return Container(
        id=record.id,
        name=documents.text(record.metadata, "name"),
        image_name=documents.text(record.metadata, "image-name"),
        state=known.state,
        pid=known.pid,
        pod=known.pod,
        pod_uid=known.pod_id,
        role=crio.SANDBOX if known.infra else "",
        labels=known.labels,
        mounts=userdata.mounts(config, "mounts") or known.mounts,
        runtime=_PODMAN if record.id in podman.containers or documents.mapping(record.metadata) else "",
        sandbox=known.sandbox,
        started_at=known.started_at,
        command=ran.command or known.runtime.command,
        cgroup=known.cgroup or ran.cgroup,
        limits=ran.limits or known.runtime.limits,
        addresses=known.addresses,
        netns=known.netns or ran.netns,
    )


def _images(root: Root, shelves: Shelves, containers: Sequence[Container], gaps: list[Gap]) -> tuple[Image, ...]:
    """The images of the store, and those of others that a container in here was made from."""
    known: dict[str, Image] = {}
    wanted = {container.image for container in containers}
    for shelf in (shelves.own, *shelves.others):
        for record in shelf.records.images.values():
            identity = images.identity(record.id)
            if identity not in known and (shelf is shelves.own or identity in wanted):
                chain = shelves.chain(record.layer)
                known[identity] = images.image(root, shelf.path, record, chain, gaps)
    return tuple(known.values())


def _options(root: Root, home: str, rootless: bool, own: Shelf, configured: Configuration) -> MountOptions:
    """How the driver mounts: a user's own store by ``user.overlay.*``, which knows neither redirects nor metacopies.

    (containers/storage ``overlay.go``, ``get``; fs/overlayfs/params.c, ``ovl_fs_params_verify``)
    """
    userxattr = rootless and not _by_program(root, home)
    composefs = any(COMPOSEFS in directory.entries for directory in own.folder.directories.values())
    metacopy = not userxattr and (composefs or "metacopy=on" in configured.mount_options)
    return MountOptions(
        userxattr=userxattr,
        redirect_dir="nofollow" if userxattr else "on" if metacopy else "follow",
        metacopy=metacopy,
        volatile="volatile" in configured.mount_options,
    )


def _unfit(root: Root, path: str, home: str) -> list[Gap]:
    """What makes the store another than this can read."""
    gaps = []
    if not any(root.is_directory(posixpath.join(path, name)) for name in _LISTS):
        gaps.append(Gap(path, OWNERS, "its lists of layers, images and containers are not there"))
    if _by_program(root, home):
        why = "fuse-overlayfs mounts it, whose own marks (.wh. files, user.fuseoverlayfs.*) are not understood"
        gaps.append(Gap(home, "marks", why))
    return gaps


def _by_program(root: Root, home: str) -> bool:
    """Whether the driver mounts by a program, not by the kernel (``mount_program``)."""
    try:
        return root.read(posixpath.join(home, ".has-mount-program"), 64).strip() == b"true"
    except OSError:
        return False


def _passing(root: Root, home: str) -> list[str]:
    """What is in the folders of things that come and go."""
    notes = []
    for name, what in (("staging", "began to be made"), ("tempdirs", "began to be removed")):
        entries = documents.names(root, posixpath.join(home, name))
        if entries and not isinstance(entries, Gap):
            notes.append(f"{posixpath.join(home, name)} holds what {what}: {len(entries)} entries")
    return notes
