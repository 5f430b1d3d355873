"""Random stacks of layers, every feature of overlayfs among them, and the wrong marks that a stranger may write.

Layers are drawn from the lowest up, so that what hides, redirects and borrows data mostly has something to do it to.
Each plan draws its own weights (swarm testing): one stack is full of redirects, the next has none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.property.overlay_plan import Entry, Layer, Operation, Plan

PLAIN = ["a", "b", "c", "d", "e", "f"]
WEIRD = [
    "new\nline",
    "two words",
    "a:b",
    "a,b",
    "back\\slash",
    "\udcff\udcfe",
    ".wh.a",
    ".wh..wh..opq",
    "n" * 255,
    "-",
    "é",
    "#1f",
    "\x1b[31m",
    "%s",
    "...",
    "..a",
    "a\tb",
    '"',
]
KINDS = {
    "directory": 12.0,
    "file": 7.0,
    "metacopy": 3.0,
    "whiteout": 3.0,
    "xwhiteout": 2.0,
    "symlink": 1.5,
    "hardlink": 1.5,
    "fifo": 0.5,
    "device": 0.5,
}
MARKED = {"opaque": 0.12, "xwhiteouts": 0.12, "redirect": 0.16, "odd": 0.06, "dressed": 0.25}
"""How often a directory is so marked, or an object has unusual xattrs, owners and modes."""
WRONG_REDIRECTS = [
    "",
    "..",
    ".",
    "/",
    "//a",
    "/a/",
    "/../a",
    "/a/../b",
    "a/b",
    "a\0b",
    "/a//b",
    "/./a",
    "\udcff",
    "x" * 300,
    "/" + "y/" * 200 + "z",
]
WRONG_METACOPIES = ["\0", "\1\4\0\0", "\0\4\1\0", "\0\3\0\0", "\0\x05\0\1", "x" * 300]
STRAY_MARKS = [
    "opaque",
    "redirect",
    "metacopy",
    "whiteout",
    "overlay.opaque",
    "overlay.overlay.redirect",
    "origin",
    "impure",
]
METACOPIES = ["", "", "", "\0\4\0\0", "\0\x24\0\1" + "h" * 32]


@dataclass(slots=True)
class _Draft:
    """What is known while a plan is drawn."""

    rng: Random
    privileged: bool
    """The marks are ``trusted.*``, owners may be others than ourselves, devices may be made."""
    userxattr: bool
    names: list[str]
    kinds: dict[str, float]
    chances: dict[str, float]
    files: dict[str, int] = field(default_factory=dict)
    """Regular files of the layers so far, with their lengths."""
    directories: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    """Files of data-only layers."""
    linkable: list[tuple[int, str]] = field(default_factory=list)
    """Files of the layers below, each with the place of its layer, counted from the lowest."""
    index: int = 0

    def chance(self, name: str) -> bool:
        return self.rng.random() < self.chances[name]

    @property
    def marks_anything(self) -> bool:
        """``trusted.*`` goes onto every kind, ``user.*`` onto files and directories alone (xattr(7))."""
        return not self.userxattr


def generate(seed: int, *, privileged: bool) -> Plan:
    """The plan of a seed. Without the privilege everything belongs to one user, and marks are ``user.overlay.*``; where
    those are not heeded, there are none.
    """
    rng = Random(f"{seed} {privileged}")
    userxattr = rng.random() < (0.2 if privileged else 0.9)
    many = rng.random() < 0.03
    upper = rng.random() < 0.6
    redirect_dir, metacopy = _options(rng, userxattr=userxattr, upper=upper)
    data_layers = rng.choice([0, 0, 0, 1, 2, 3])
    if not privileged and not userxattr:  # all of them take CAP_SYS_ADMIN in the initial user namespace
        redirect_dir, metacopy, data_layers = "", None, 0
    draft = _Draft(
        rng=rng,
        privileged=privileged,
        userxattr=userxattr,
        names=rng.sample(PLAIN, rng.randint(2, 5)) + rng.sample(WEIRD, rng.choice([0, 0, 1, 1, 3])),
        kinds={kind: weight * rng.choice([0.3, 1, 1, 3]) for kind, weight in KINDS.items()},
        chances={kind: min(0.5, chance * rng.choice([0, 1, 1, 3])) for kind, chance in MARKED.items()},
    )
    if redirect_dir == "nofollow" or userxattr:  # all of them answer EPERM
        draft.chances["redirect"] *= 0.2
    if not metacopy:
        draft.kinds["metacopy"] *= 0.5 if data_layers else 0.1
    data = [_layer(draft, 2, data=True) for _ in range(data_layers)]
    layers: list[Layer] = []
    depths = [1, 1, 2] if many else [2, 3, 3, 4]
    count = rng.choice([*range(40, 130), 499]) if many else rng.choice([2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8])
    for draft.index in range(count):
        layers.append(_layer(draft, rng.choice(depths), top=upper and draft.index == count - 1))
    plan = Plan(
        layers=tuple(reversed(layers)),
        data=tuple(data),
        upper=upper,
        read_only=rng.random() < 0.15,
        userxattr=userxattr,
        redirect_dir=redirect_dir,
        metacopy=metacopy,
        on_disk=rng.random() < 0.05,
        name=f"{seed}{'' if privileged else ' unprivileged'}",
    )
    return plan if privileged or userxattr else _unmarked(plan)


def _unmarked(plan: Plan) -> Plan:
    def without(layer: Layer) -> Layer:
        return replace(layer, entries=tuple(replace(entry, marks={}) for entry in layer.entries))

    return replace(plan, layers=tuple(map(without, plan.layers)), data=tuple(map(without, plan.data)))


def _options(rng: Random, *, userxattr: bool, upper: bool) -> tuple[str, bool | None]:
    """``redirect_dir`` and ``metacopy`` that the kernel takes together (ovl_fs_params_verify), most of the time."""
    if rng.random() < 0.02:
        return rng.choice(["on", "follow", "nofollow", "off"]), rng.choice([True, False])
    if userxattr:
        return rng.choice(["", "", "nofollow"]), rng.choice([None, None, False])
    if rng.random() < 0.55:
        return rng.choice(["on", ""] if upper else ["on", "follow", ""]), True
    return rng.choice(["", "on", "follow", "nofollow", "off"]), rng.choice([None, False])


def _layer(draft: _Draft, depth: int, *, data: bool = False, top: bool = False) -> Layer:
    rng = draft.rng
    entries: list[Entry] = []
    own: dict[str, str] = {}
    if not data and rng.random() < 0.3:
        entries.append(_directory(draft, ""))
    _fill(draft, "", depth, entries, own, data=data)
    for path, kind in own.items():
        if kind == "directory" and not data:
            draft.directories.append(path)
    for entry in entries:
        if entry.kind == "file" and not data:
            draft.files[entry.path] = _length(entry)
        elif entry.kind == "file":
            draft.data.append(entry.path)
    operations: tuple[Operation, ...] = ()
    if not data and draft.index and rng.random() < (0.35 if top else 0.25):
        operations = tuple(_operation(draft) for _ in range(rng.randint(1, 8)))
    elif not data:
        draft.linkable += [(draft.index, entry.path) for entry in entries if entry.kind == "file"]
    return Layer(tuple(entries), operations)


def _length(entry: Entry) -> int:
    return len(entry.text.encode("utf-8", "surrogateescape")) if entry.size is None else entry.size


def _fill(draft: _Draft, parent: str, depth: int, entries: list[Entry], own: dict[str, str], *, data: bool) -> None:
    rng = draft.rng
    marks = entries[-1].marks if entries and entries[-1].path == parent else {}
    for name in draft.names:
        if rng.random() < 0.4:
            continue
        path = f"{parent}/{name}" if parent else name
        kinds = {k: w for k, w in draft.kinds.items() if k != "directory" or depth > 1}
        if not parent:
            kinds["directory"] = 35.0
        if marks.get("opaque") == "x":
            kinds["xwhiteout"] = 8.0
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        if data and kind != "directory":
            kind = rng.choice(["file", "file", "file", kind])
        if path in draft.files and kind == "file" and rng.random() < draft.kinds["metacopy"] / 10:
            kind = "metacopy"
        entry = _entry(draft, path, kind, own)
        entries.append(entry)
        own[path] = entry.kind if kind != "metacopy" else "metacopy"
        if entry.kind == "directory":
            _fill(draft, path, depth - 1, entries, own, data=data)


def _entry(draft: _Draft, path: str, kind: str, own: dict[str, str]) -> Entry:
    rng = draft.rng
    if kind == "directory":
        return _directory(draft, path)
    if kind == "metacopy":
        return _metacopy(draft, path)
    if kind == "whiteout":
        return Entry(path, "whiteout", mtime=_time(rng))
    if kind == "xwhiteout":
        text = "no whiteout" if rng.random() < 0.08 else ""
        return Entry(path, text=text, mtime=_time(rng), marks={"whiteout": rng.choice(["", "", "y"])})
    if kind == "symlink":
        target = rng.choice([*draft.names, "../" + draft.names[0], "/nowhere", "a/b/" * 30, "../../../../.."])
        return _dressed(draft, Entry(path, "symlink", target=target, mtime=_time(rng)))
    linkable = [other for other, what in own.items() if what in ("file", "symlink", "fifo")]
    if kind == "hardlink" and draft.linkable and rng.random() < 0.3:
        layer, other = rng.choice(draft.linkable)
        return Entry(path, "hardlink", target=other, below=draft.index - layer)
    if kind == "hardlink" and linkable:
        return Entry(path, "hardlink", target=rng.choice(linkable))
    if kind == "fifo":
        return _dressed(draft, Entry(path, "fifo", mtime=_time(rng)))
    if kind == "device" and draft.privileged:
        device = rng.choice([(1, 3), (1, 5), (0, 1), (7, 250), (0, 0)])
        return _dressed(draft, Entry(path, rng.choice(["char", "block"]), device=device, mtime=_time(rng)))
    return _file(draft, path)


def _file(draft: _Draft, path: str) -> Entry:
    text = f"{draft.index} {path}"[:60]
    size = draft.rng.choice([None, None, None, None, 0, 3, 70000])
    return _dressed(draft, Entry(path, text=text, size=size, mtime=_time(draft.rng)))


def _metacopy(draft: _Draft, path: str) -> Entry:
    """A file whose data is elsewhere: below at its own path, where a redirect says, or (often enough) nowhere."""
    rng = draft.rng
    marks = {"metacopy": rng.choice(METACOPIES)}
    source = path
    if draft.data and rng.random() < 0.5:
        source = rng.choice(draft.data)
    elif draft.files and (path not in draft.files or rng.random() < 0.3):
        source = rng.choice(list(draft.files))
    if source != path:
        near = source.rpartition("/")[0] == path.rpartition("/")[0]
        marks["redirect"] = source.rpartition("/")[2] if near and rng.random() < 0.5 else f"/{source}"
    if draft.chance("odd"):
        marks[rng.choice(["metacopy", "redirect"])] = rng.choice(WRONG_METACOPIES + WRONG_REDIRECTS)
    size = draft.files.get(source, 20) if rng.random() < 0.8 else rng.choice([0, 5, 5000])
    return _dressed(draft, Entry(path, size=size, mtime=_time(rng), marks=marks))


def _directory(draft: _Draft, path: str) -> Entry:
    rng = draft.rng
    marks: dict[str, str] = {}
    if draft.chance("opaque"):
        marks["opaque"] = "y"
    elif draft.chance("xwhiteouts"):
        marks["opaque"] = "x"
    if draft.chance("redirect"):
        marks["redirect"] = _redirect(draft, path)
    if draft.chance("odd"):
        mark = rng.choice(
            ["opaque", "redirect", "metacopy", "whiteout", "overlay.opaque", "overlay.redirect", "unknown"]
        )
        values = {"redirect": WRONG_REDIRECTS, "opaque": ["", "n", "yes", "xx", "Y", "y"]}
        marks[mark] = rng.choice(values.get(mark, ["", "y", "/a"]))
    entry = Entry(
        path, "directory", mode=rng.choice([0o755, 0o755, 0o700, 0o1777, 0o2750, 0]), mtime=_time(rng), marks=marks
    )
    return _dressed(draft, entry)


def _redirect(draft: _Draft, path: str) -> str:
    rng = draft.rng
    target = rng.choice(draft.directories) if draft.directories and rng.random() < 0.85 else rng.choice(draft.names)
    if target.rpartition("/")[0] == path.rpartition("/")[0] and rng.random() < 0.7:
        return target.rpartition("/")[2]
    return rng.choice(draft.names) if rng.random() < 0.15 else f"/{target}"


def _dressed(draft: _Draft, entry: Entry) -> Entry:
    """With unusual modes, owners and xattrs, now and then."""
    rng = draft.rng
    if not draft.chance("dressed"):
        return entry
    changes: dict[str, Any] = {}
    if rng.random() < 0.5:
        changes["mode"] = rng.choice([0o4755, 0o2711, 0o600, 0o777, 0, 0o1644])
    if draft.privileged and rng.random() < 0.5:
        changes["owner"] = (rng.choice([0, 1000, 65534, 4_000_000_000]), rng.choice([0, 7, 65534]))
    changes["xattrs"] = {name: value for name, value in _xattrs(draft, entry.kind) if rng.random() < 0.4}
    if draft.marks_anything and draft.chance("odd") and entry.kind != "directory":
        mark = rng.choice(STRAY_MARKS)
        changes["marks"] = {**entry.marks, mark: rng.choice(["", "x", "y", "a", "/a"])}
    return replace(entry, **changes)


def _xattrs(draft: _Draft, kind: str) -> Sequence[tuple[str, str]]:
    """Others than the marks that are heeded; among them the marks of the other namespace."""
    found: list[tuple[str, str]] = []
    if kind in ("file", "directory"):
        found += [("user.note", "é\n"), ("user.empty", ""), ("user.long", "v" * 60)]
        if draft.userxattr:
            found += [("user.overlay.overlay.opaque", "y"), ("user.overlay.overlay.overlay.x", "z")]
        else:
            found += [("user.overlay.opaque", "y"), ("user.overlay.redirect", "/a"), ("user.overlay.metacopy", "")]
        found.append(("system.posix_acl_access", _acl(draft.privileged)))
        if kind == "directory":
            found.append(("system.posix_acl_default", _acl(draft.privileged)))
    if draft.privileged:
        found.append(("trusted.note", "t"))
        if draft.userxattr:
            found += [
                ("trusted.overlay.opaque", "y"),
                ("trusted.overlay.whiteout", ""),
                ("trusted.overlay.metacopy", ""),
            ]
        else:
            found += [("trusted.overlay.overlay.opaque", "y"), ("trusted.overlay.overlay.overlay.x", "z")]
        if kind == "file":
            found.append(("security.capability", _text(struct.pack("<5I", 0x02000001, 0x2000, 0, 0, 0))))
    return found


def _acl(privileged: bool) -> str:
    """user::rw-, user:ID:r--, group::r--, mask::rwx, other::--- (linux/posix_acl_xattr.h)."""
    someone = 1000 if privileged else 0
    nobody = 0xFFFFFFFF
    lines = [(1, 6, nobody), (2, 4, someone), (4, 4, nobody), (0x10, 7, nobody), (0x20, 0, nobody)]
    return _text(struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *line) for line in lines))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _time(rng: Random) -> int:
    return 1_600_000_000 + rng.randrange(1 << 20)


def _operation(draft: _Draft) -> Operation:
    rng = draft.rng
    known = [*draft.directories, *draft.files] or draft.names
    path = rng.choice(known) if rng.random() < 0.9 else rng.choice(draft.names)
    folder = rng.choice(["", *(f"{directory}/" for directory in draft.directories)])
    new = rng.choice([folder + rng.choice(draft.names), f"{folder}new", rng.choice(known)])
    return rng.choice(
        [
            ("rename", path, new),
            ("rename", rng.choice(draft.directories or known), new),
            ("unlink", path),
            ("rmtree", rng.choice(draft.directories or known)),
            ("mkdir", new),
            ("mkdir", path),
            ("chmod", path, str(rng.choice([0o600, 0o4755, 0o755]))),
            ("link", path, new),
            ("write", path, "written"),
            ("create", new, "created"),
            ("symlink", new, "elsewhere"),
            ("setxattr", path, "user.note", "set"),
        ]
    )
