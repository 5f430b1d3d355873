"""Answers about layers made by hand: a web server's container, its image, what nobody owns, and hostile ones."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.layer_answers import (
    ChainRef,
    ChainShown,
    ChainUsage,
    Diff,
    Difference,
    Layers,
    LayerShown,
    LayerUsage,
    Orphan,
    Orphans,
    Usage,
    Verified,
    Version,
    Which,
)
from netfs.model.layers import Account, Change, Extent

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KIB, MIB = 1 << 10, 1 << 20
TOP, APP, BASE, LOST = "70b7" * 16, "a44a" * 16, "ba5e" * 16, "1057" * 16
INIT = f"{TOP}-init"
STORE = "/var/lib/docker"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egpj.exe\nnetfs: all is well\udcff"
"""ESC, BEL, a bidirectional override, a line break, and a byte that is no UTF-8."""


def directory(layer: str) -> str:
    return f"{STORE}/overlay2/{layer}"


WEB = ChainRef(
    "container",
    "web",
    "c0ffee00" * 8,
    "docker",
    STORE,
    "node1",
    (TOP, INIT, APP, BASE),
    container="web",
    state="running",
    image="sha256:" + "11" * 32,
    image_names=("shop/web:1",),
    mountpoint=f"{directory(TOP)}/merged",
    own=12 * KIB,
    shared=9 * MIB,
)
IMAGE = ChainRef(
    "image",
    "shop/web:1",
    WEB.image,
    "docker",
    STORE,
    "node1",
    (APP, BASE),
    image=WEB.image,
    image_names=("shop/web:1", "shop/web@sha256:" + "22" * 32),
    own=0,
    shared=9 * MIB,
)
UNTAGGED = ChainRef(
    "image", "333333333333", "sha256:" + "33" * 32, "docker", STORE, "node1", (BASE,), image="sha256:" + "33" * 32
)
POD = ChainRef(
    "container",
    "shop/db-0/postgres",
    "d00d" * 16,
    "containerd",
    "/var/lib/containerd",
    "node2",
    ("42", "17"),
    "db-0",
    "shop",
    "postgres",
    "running",
    missing=("17",),
    own=3 * MIB,
    shared=0,
)
NOBODYS = ChainRef("layer", LOST[:12], LOST, "docker", STORE, "node1", (LOST,), own=700 * MIB, shared=0)
SOMEBODYS = ChainRef("mount", f"/srv/{LOST}/merged", f"/srv/{LOST}/diff", "mounts", "/proc/self/mountinfo", "node1")

ACCOUNTS = {
    TOP: Account(
        0,
        Extent(1, 2, 12 * KIB, 10_000),
        changed=Extent(1, 2, 12 * KIB, 10_000),
        whiteouts=1,
        hides={3: Extent(2, 0, 8 * KIB)},
    ),
    INIT: Account(0, Extent(3, 2), added=Extent(3, 1), changed=Extent(0, 1)),
    APP: Account(
        0,
        Extent(40, 5, 4 * MIB),
        added=Extent(39, 3, 4 * MIB),
        changed=Extent(1, 2),
        whiteouts=10,
        opaque=1,
        idle=2,
        hides={0: Extent(1, 0, 4 * KIB), 1: Extent(12, 1, MIB)},
    ),
    BASE: Account(0, Extent(400, 60, 5 * MIB), added=Extent(400, 60, 5 * MIB)),
    LOST: Account(0),
}
MADE = {
    APP: "RUN /bin/sh -c apt-get update && apt-get install -y nginx && rm -rf /var/lib/apt/lists/* /tmp/* # buildkit",
    BASE: "/bin/sh -c #(nop) ADD file:0123 in / ",
}
ROLES = {TOP: "container", INIT: "init", LOST: "unknown"}
USED = {
    TOP: ("web",),
    INIT: ("web",),
    APP: ("web", "shop/web:1"),
    BASE: ("web", "shop/db-0/postgres", "shop/web:1", "333333333333", "tools:latest"),
}


def layer(identity: str) -> LayerShown:
    return LayerShown(
        identity,
        directory(identity),
        ROLES.get(identity, "image"),
        identity[:4].upper() * 6 + "XY",
        "sha256:" + identity[::-1] if identity in MADE else "",
        "sha256:" + identity if identity in MADE else "",
        "2026-01-01T00:00:00Z" if identity in MADE else "",
        MADE.get(identity, ""),
        USED.get(identity, ()),
        ACCOUNTS[identity],
    )


def version(identity: str, fate: str, type: str = "file", path: str = "etc/passwd", **more: object) -> Version:
    given: dict[str, object] = {
        "size": 1234 if type == "file" else 0,
        "mode": {"file": "-rw-r--r--", "directory": "drwxr-xr-x"}.get(type, "c---------"),
        "modified_at": "2026-01-02T03:04:05Z",
        "role": ROLES.get(identity, "image"),
        "created_by": MADE.get(identity, ""),
        "used_by": USED.get(identity, ()),
    }
    return Version(identity, f"{directory(identity)}/diff/{path}", fate, type, **(given | more))  # type: ignore[arg-type]  # fields of Version


LS = Layers((WEB, IMAGE, UNTAGGED, POD, SOMEBODYS, NOBODYS), ("written by a newer version",))
SHOW = ChainShown(WEB, tuple(map(layer, WEB.layers)))
SHOW_LAYER = ChainShown(
    ChainRef("layer", APP[:12], APP, "docker", STORE, "node1", (APP, BASE)),
    (layer(APP), layer(BASE)),
    layer(APP),
    (WEB, IMAGE),
)
SHOW_NOBODYS = ChainShown(NOBODYS, (layer(LOST),), layer(LOST))
SHOW_MISSING = ChainShown(
    POD,
    (LayerShown("42", "/var/lib/containerd/snapshots/42", "container"), LayerShown("17", "", "unknown")),
    gaps=(Gap("17", "layer", "it is not there: what it held is not seen"),),
)
WHICH = Which(
    WEB,
    "/etc/passwd",
    "/etc/passwd",
    version(TOP, "provides"),
    shadowed=(
        version(APP, "whiteout", "whiteout", by=TOP, why="a newer file"),
        version(BASE, "hidden", by=APP, why="a whiteout"),
    ),
)
WHICH_COVERED = Which(
    WEB,
    "/data/page",
    "/srv/page",
    version(APP, "provides", path="srv/page"),
    via=(("/data", "srv"),),
    covered_at="/srv",
    covered_by="/mnt/pages",
)
WHICH_COVERED_ITSELF = Which(
    WEB,
    "/etc/hosts",
    "/etc/hosts",
    version(INIT, "provides", path="etc/hosts", size=0),
    covered_at="/etc/hosts",
    covered_by=f"{STORE}/containers/{WEB.id}/hosts",
)
WHICH_TMPFS = Which(WEB, "/tmp/x", "/tmp/x", None, covered_at="/tmp", covered_by="tmpfs")
WHICH_DELETED = Which(
    WEB,
    "/etc/issue",
    "/etc/issue",
    None,
    shadowed=(version(APP, "whiteout", "whiteout"), version(BASE, "hidden", by=APP, why="a whiteout")),
)
WHICH_HIDDEN = Which(
    WEB, "/a/b", "/a/b", None, shadowed=(version(BASE, "hidden", by=APP, why="an opaque directory at /a"),)
)
WHICH_ABSENT = Which(WEB, "/nowhere", "/nowhere", None)
WHICH_DIRECTORY = Which(
    WEB,
    "/etc",
    "/etc",
    version(APP, "provides", "directory", "etc", marks=("redirect /old",)),
    merged=(version(BASE, "merged", "directory", "old"),),
)
WHICH_METACOPY = Which(
    WEB,
    "/bin/sh",
    "/bin/sh",
    version(TOP, "provides", path="bin/sh", marks=("metacopy",)),
    version(BASE, "data", path="bin/sh"),
)
WHICH_LOOP = Which(
    WEB, "/loop/x", "/loop/x", None, via=tuple(("/loop", f"loop{turn}") for turn in range(40)), error="ELOOP"
)
WHICH_DOUBTFUL = Which(
    WEB,
    "/etc/passwd",
    "/etc/passwd",
    version(TOP, "provides"),
    gaps=(Gap(STORE, "trusted.overlay.*", "they take CAP_SYS_ADMIN in the initial user namespace"),),
)
DIFF = Diff(
    WEB,
    TOP,
    (
        Change("C", "/etc", "directory"),
        Change("C", "/etc/passwd", "file", 1234),
        Change("D", "/var/cache", "directory", 5 * MIB),
        Change("A", "/run/web.sock", "socket"),
    ),
)
USAGE = Usage(
    (
        LayerUsage(BASE, directory(BASE), "image", "node1", STORE, Extent(400, 60, 5 * MIB), USED[BASE], MADE[BASE]),
        LayerUsage(APP, directory(APP), "image", "node1", STORE, Extent(40, 5, 4 * MIB), USED[APP], MADE[APP]),
        LayerUsage(LOST, directory(LOST), "unknown", "node1", STORE, Extent(9, 1, 700 * MIB)),
        LayerUsage(TOP, directory(TOP), "container", "node1", STORE, Extent(1, 2, 12 * KIB), ("web",)),
        LayerUsage(INIT, directory(INIT), "init", "node1", STORE, Extent(3, 2), ("web",)),
        LayerUsage("42", "/var/lib/containerd/42", "container", "node2", "/var/lib/containerd", Extent(9, 1, 3 * MIB)),
    ),
    (
        ChainUsage(WEB, 9 * MIB + 12 * KIB, MIB, 0.8895),
        ChainUsage(IMAGE, 9 * MIB, MIB, 0.8889),
        ChainUsage(UNTAGGED, 5 * MIB),
        ChainUsage(POD, 3 * MIB),
        ChainUsage(NOBODYS, 700 * MIB),
    ),
    712 * MIB,
    700 * MIB,
    (Finding("layer-upper-large", "warning", "web", "1.5 GiB are in its own layer", "write to a volume", "node1"),),
)
ORPHANS = Orphans(
    (
        Orphan(
            LOST,
            directory(LOST),
            "no image, container or snapshot names it",
            "node1",
            "unknown",
            Extent(9, 1, 700 * MIB),
            "2026-01-02T03:04:05Z",
        ),
    ),
    700 * MIB,
    (
        Finding(
            "layer-orphan", "info", directory(LOST), "no image names it", "none of Docker's commands", node="node1"
        ),
        Finding("layer-link-dangling", "warning", f"{STORE}/overlay2/l/GONE", "it leads to ../x", "restart", "node1"),
    ),
)
BROKEN = Orphans(
    findings=(Finding("layer-lower-missing", "error", "node2/container shop/db-0", "17 not there", "pull"),)
)
UNDECIDED = Orphans(undecided=(f"{STORE}: image/overlay2 is not there",))
VERIFY = (
    Verified(WEB, 51, skipped=tuple(f"/proc/{number}: Permission denied" for number in range(7))),
    Verified(
        SOMEBODYS, 1, (Difference("/etc/hosts", "size", "1", "2"), Difference("/tmp", "mode", "0o755", "0o1777")), 3
    ),
    Verified(POD, gaps=(Gap("/run/merged", "mount", "Permission denied"),)),
)

T = TypeVar("T", bound="DataclassInstance")


def hostile(kind: type[T], /, **given: Any) -> T:
    """A record whose texts are all hostile."""
    texts = {each.name: HOSTILE for each in fields(kind) if each.type == "str" and each.name != "schema"}
    return kind(**(texts | given))


_CHAIN = hostile(ChainRef, layers=(HOSTILE,), image_names=(HOSTILE,), missing=(HOSTILE,))
_LAYER = hostile(LayerShown, used_by=(HOSTILE,), account=ACCOUNTS[BASE])
_VERSION = hostile(Version, fate="provides", marks=(HOSTILE,), used_by=(HOSTILE,))
_DOUBT: dict[str, Any] = {"notes": (HOSTILE,), "gaps": (hostile(Gap),)}
_FOUND = (hostile(Finding),)
WORST = {
    "ls": Layers((_CHAIN,), **_DOUBT),
    "show": ChainShown(_CHAIN, (_LAYER, _LAYER), _LAYER, (_CHAIN,), **_DOUBT),
    "which": hostile(
        Which,
        chain=_CHAIN,
        provider=_VERSION,
        data=_VERSION,
        shadowed=(_VERSION,),
        merged=(_VERSION,),
        via=((HOSTILE, HOSTILE),),
        **_DOUBT,
    ),
    "diff": Diff(_CHAIN, HOSTILE, (hostile(Change, kind="A"),), (hostile(Gap),)),
    "usage": Usage((hostile(LayerUsage, used_by=(HOSTILE,)),), (ChainUsage(_CHAIN),), findings=_FOUND, **_DOUBT),
    "orphans": Orphans((hostile(Orphan),), findings=_FOUND, undecided=(HOSTILE,), **_DOUBT),
    "verify": (Verified(_CHAIN, 1, (hostile(Difference),), 0, (HOSTILE,), (hostile(Gap),)),),
}
