"""``netfs layers``: where a file of a container comes from, and who owns a directory of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Group
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.model.layer_answers import ChainShown, Diff, Layers, Orphans, Usage, Verified, Which
    from netfs.overlay.layer_stores import LayerStores
    from netfs_cli.render.ink import Ink

F = TypeVar("F", bound=Callable[..., Any])
FORMS = ("text", "wide", "json", "yaml")


@dataclass(frozen=True, slots=True)
class Verification:
    """Every mounted overlay beside the merged view."""

    mounts: tuple[Verified, ...]
    schema: str = "netfs.verify/v1"


Answer: TypeAlias = "Layers | ChainShown | Which | Diff | Usage | Orphans | Verification"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which stores are asked, and how the answer is wanted."""

    settings: Settings
    root: str | None
    form: str
    write: str | None
    container: str = ""

    @property
    def choice(self) -> dict[str, str]:
        """Which of several of one name."""
        return {"namespace": self.settings.namespace or "", "container": self.container}

    @contextmanager
    def stores(self) -> Iterator[LayerStores]:
        """The stores that are meant, with a bar where it takes long."""
        import netfs
        from netfs_cli.progress import Progress
        from netfs_cli.render.prose import count

        sources = self.settings.uris() if self.root is not None else self.settings.reachable()
        started = perf_counter()
        with (
            Progress(self.root or "layers", unit="entries") as progress,
            netfs.layers(*sources, root=self.root, progress=lambda done: progress(done, None)) as stores,
        ):
            if self.settings.verbose:
                milliseconds = (perf_counter() - started) * 1000
                terminal.note(f"read {count(len(stores.stores), 'store')} in {milliseconds:.0f} ms")
            yield stores

    def show(self, answer: Answer, render: Callable[[Ink, bool], str]) -> None:
        """Show the answer; ``render`` draws it, with all that is known where it is to be wide."""
        wide = self.form == "wide"
        output.show(answer, lambda ink, _: render(ink, wide), settings=self.settings, form=self.form, write=self.write)


def _asking(command: F) -> F:
    """Options that say where is asked and how the answer is wanted; the command gets them as ``Asked``."""

    @options.output(*FORMS)
    @options.write("-w", "--write")
    @click.option(
        "--root",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Read the stores below DIR: a disk image that is mounted, a store that was copied off a machine, or an "
        "engine's folder. No engine need run.",
    )
    @options.locating
    @click.pass_obj
    @wraps(command)
    def asked(settings: Settings, /, **words: Any) -> int:
        place, form, write = (words.pop(name) for name in ("root", "output_form", "write"))
        answered: int = command(Asked(settings, place, form, write, words.pop("container", "")), **words)
        return answered

    return cast("F", asked)


def _target(metavar: str = "TARGET") -> Callable[[F], F]:
    """The chain that is meant, and the options that choose one of several of that name."""

    def with_target(command: F) -> F:
        chosen = click.option(
            "-c", "--container", metavar="NAME", default="", help="Which container of a pod that has several."
        )(options.namespace(command))
        optional = metavar.startswith("[")
        return click.argument("target", metavar=metavar, required=not optional, default="" if optional else None)(
            chosen
        )

    return with_target


@click.group(
    cls=Group,
    examples="""
    netfs layers which pod-a /etc/hosts                 which layer is this file from?
    netfs layers show /var/lib/docker/overlay2/3f9a…    whose directory is this?
    netfs layers usage                                  where did the disk go?
    netfs layers orphans --root /mnt/disk               what does nobody own?
    """,
)
@options.common
def layers() -> None:
    """Overlay file systems: where a file comes from, and who owns a directory.

    Read are the stores of Docker (overlay2, and containerd's as its image store), containerd, Podman and CRI-O, and
    what else is mounted. Nothing is mounted, nothing is written, no engine is asked.

    TARGET is a pod, a container, an image, a layer's id, its short link name, a digest, or a path in a store; pod/…,
    container/…, image/…, layer/… say which is meant, NODE/… on which node.
    """


@layers.command(
    short_help="List containers, images and what else has layers.",
    examples="""
    netfs layers ls
    netfs layers ls --root /mnt/disk -o wide
    netfs layers ls -o json | jq '.chains[] | select(.kind == "container")'
    """,
)
@click.option("--no-sizes", is_flag=True, help="Measure nothing: at once, however large the stores are.")
@_asking
def ls(asked: Asked, no_sizes: bool) -> int:
    """List the chains: containers, images, what a builder or a snapshot holds, what nobody owns.

    OWN is what no other chain has: what comes free with it. SHARED is in layers that others have too. A chain of kind
    layer is nobody's.

    Exit status: 0, 3 where something could not be read.
    """
    from netfs_cli.render.layers import listing

    with asked.stores() as stores:
        answer = stores.ls(sizes=not no_sizes)
    asked.show(answer, lambda ink, wide: listing.render(answer, ink, wide=wide))
    return 3 if answer.gaps else 0


@layers.command(
    short_help="Show a chain: what each layer adds, changes, hides.",
    examples="""
    netfs layers show pod-a
    netfs layers show busybox:latest
    netfs layers show /var/lib/docker/overlay2/3f9a…/diff
    """,
)
@_target()
@_asking
def show(asked: Asked, target: str) -> int:
    """Show a chain top to bottom: what each layer adds, changes and hides, and whose it is.

    Exit status: 0, 2 where nothing is called so, 3 where a layer is missing or could not be read.
    """
    from netfs_cli.render.layers import chain

    with asked.stores() as stores:
        answer = stores.show(target, **asked.choice)
    asked.show(answer, lambda ink, wide: chain.render(answer, ink, wide=wide))
    return 3 if answer.gaps else 0


@layers.command(
    short_help="Name the layer that a file comes from.",
    examples="""
    netfs layers which pod-a /etc/hosts
    netfs layers which busybox:latest /bin/sh
    netfs layers which web /etc/nginx/nginx.conf -o json | jq .provider.created_by
    """,
)
@_target()
@click.argument("path", metavar="PATH")
@_asking
def which(asked: Asked, target: str, path: str) -> int:
    """Name the layer that provides a file, and every layer that it shadows.

    Symlinks on the way to PATH are followed as the container would; PATH itself is not.

    Exit status: 0, 1 where the merged view has no such path, 2 usage, 3 where it could not be decided.
    """
    from netfs_cli.render.layers import versions

    with asked.stores() as stores:
        answer = stores.which(target, path, **asked.choice)
    asked.show(answer, lambda ink, wide: versions.render(answer, ink, wide=wide))
    if answer.gaps:
        return 3
    return 0 if answer.provider is not None and not answer.error else 1


@layers.command(
    short_help="Tell what a container changed.",
    examples="""
    netfs layers diff pod-a
    netfs layers diff web -o wide
    netfs layers diff web -o json | jq -r '.changes[] | select(.kind == "D") | .path'
    """,
)
@_target()
@_asking
def diff(asked: Asked, target: str) -> int:
    """Tell what a container changed in its image: A added, C changed, D deleted.

    Of an image or a layer: what its uppermost layer changed in those below it.

    Exit status: 0, 2 where nothing is called so, 3 where a layer is missing or could not be read.
    """
    from netfs_cli.render.layers import changes

    with asked.stores() as stores:
        answer = stores.diff(target, **asked.choice)
    asked.show(answer, lambda ink, wide: changes.render(answer, ink, wide=wide))
    return 3 if answer.gaps else 0


@layers.command(
    short_help="Tell where the disk went.",
    examples="""
    netfs layers usage
    netfs layers usage busybox:latest
    netfs layers usage --root /mnt/disk -o json
    """,
)
@_target("[TARGET]")
@_asking
def usage(asked: Asked, target: str) -> int:
    """Tell where the disk went: bytes on disk of every layer, image and container.

    What several have is counted once. WASTED is what a later layer hides; the efficiency is the share that is seen.

    Exit status: 0, 2 where nothing is called so, 3 where something could not be read.
    """
    from netfs_cli.render.layers import disk

    with asked.stores() as stores:
        answer = stores.usage(target, **asked.choice)
    asked.show(answer, lambda ink, wide: disk.render(answer, ink, wide=wide))
    return 3 if answer.gaps else 0


@layers.command(
    short_help="List directories that nobody owns.",
    examples="""
    netfs layers orphans
    netfs layers orphans --root /mnt/disk -o json | jq -r '.orphans[].path'
    """,
)
@_asking
def orphans(asked: Asked) -> int:
    """List directories that no image and no container owns, dangling links, and layers that are missing.

    Nothing is ever deleted: the engine does that. An engine that runs may be about to name what it has just made.

    Exit status: 0, 1 where a chain has missing layers, 3 where it could not be told who owns what.
    """
    from netfs_cli.render.layers import unowned

    with asked.stores() as stores:
        answer = stores.orphans()
    asked.show(answer, lambda ink, wide: unowned.render(answer, ink, wide=wide))
    if any(finding.severity == "error" for finding in answer.findings):
        return 1
    return 3 if answer.undecided or answer.gaps else 0


@layers.command(
    short_help="Compare our merged view with the kernel's.",
    examples="""
    netfs layers verify
    netfs layers verify pod-a --content
    """,
)
@_target("[TARGET]")
@click.option("--content", is_flag=True, help="Compare the bytes of files as well.")
@_asking
def verify(asked: Asked, target: str, content: bool) -> int:
    """Compare our merged view with the kernel's, where the overlay is mounted.

    Compared are names, types, modes, owners, sizes, targets of symlinks and devices; not what something else is mounted
    over. A container that writes meanwhile makes differences of its own.

    Exit status: 0, 1 where they differ, 2 usage, 3 where nothing is mounted or it could not be compared.
    """
    from netfs_cli.render.layers import verified

    with asked.stores() as stores:
        found = stores.verify(target, content=content, **asked.choice)
    asked.show(Verification(found), lambda ink, wide: verified.render(found, ink, wide=wide))
    if any(each.differences and not each.gaps for each in found):
        return 1
    return 3 if any(each.gaps for each in found) else 0
