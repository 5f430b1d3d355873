"""A stack of layers as data: what lies in each layer, what the kernel then does to it, and how all is mounted.

A plan compares by value and is JSON, so a difference that was found once is kept as a small file. Names and values are
as ``os.fsdecode`` makes them; a path is that of the layer, ``""`` its root. Layers stand uppermost first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from netfs.model.layers import MountOptions

Operation = tuple[str, ...]
"""What is done on a mount: ``rename A B``, ``link A B``, ``unlink A``, ``rmtree A``, ``mkdir A``, ``chmod A MODE``,
``write A TEXT``, ``create A TEXT``, ``symlink A TARGET``, ``setxattr A NAME VALUE``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of one layer."""

    path: str
    kind: str = "file"
    """``directory``, ``file``, ``symlink``, ``fifo``, ``char``, ``block``, ``whiteout`` (a device 0:0) or
    ``hardlink``."""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    text: str = ""
    """A file's first bytes."""
    size: int | None = None
    """A file's length, where it is not that of its text: a hole follows, or the text is cut."""
    target: str = ""
    """A symlink's; the other path of a hard link."""
    below: int = 0
    """The other path of a hard link is in the layer that many below: stores save space so."""
    device: tuple[int, int] = (0, 0)
    mtime: int = 1_600_000_000
    marks: Mapping[str, str] = field(default_factory=dict)
    """xattrs ``overlay.NAME`` in the namespace that the mount heeds."""
    xattrs: Mapping[str, str] = field(default_factory=dict)
    """Other xattrs, by their full names."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What is put into a directory; then the kernel mounts it as an upper over all below it, and operates."""

    entries: tuple[Entry, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack, and how it is mounted."""

    layers: tuple[Layer, ...]
    data: tuple[Layer, ...] = ()
    upper: bool = False
    """The first layer is an upper; else it is a lower as the others are."""
    read_only: bool = False
    userxattr: bool = False
    redirect_dir: str = ""
    """Empty: nothing is said."""
    metacopy: bool | None = None
    """None: nothing is said."""
    on_disk: bool = False
    """Where the layers lie: on the file system of the caller's folder, else on a tmpfs."""
    name: str = ""
    """Where it comes from: the generator's seed, or what a regression shows."""

    @property
    def prefix(self) -> str:
        """The namespace of the marks that the mount heeds."""
        return "user.overlay." if self.userxattr else "trusted.overlay."

    @property
    def options(self) -> MountOptions:
        """As the mount's own line says it; what nobody said is the kernel's default."""
        options = MountOptions(userxattr=self.userxattr, metacopy=bool(self.metacopy))
        return replace(options, redirect_dir=self.redirect_dir) if self.redirect_dir else options

    @property
    def mounted_with(self) -> tuple[tuple[str, str | None], ...]:
        """The options of the mount besides its layers."""
        options: list[tuple[str, str | None]] = [("index", "off")]
        if self.userxattr:
            options.append(("userxattr", None))
        if self.redirect_dir:
            options.append(("redirect_dir", self.redirect_dir))
        if self.metacopy is not None:
            options.append(("metacopy", "on" if self.metacopy else "off"))
        if self.read_only:
            options.append(("ro", None))
        return tuple(options)

    @property
    def names(self) -> set[str]:
        """Every name that an object of the merged tree may have."""
        paths = [entry.path for layer in self.layers for entry in layer.entries]
        paths += [word for layer in self.layers for operation in layer.operations for word in operation[1:]]
        return {name for path in paths for name in path.split("/") if name not in ("", ".", "..")}


def to_json(plan: Plan) -> str:
    """Readable: an entry a line; what is as usual is left out."""
    body = _brief(plan)
    for key in {"layers", "data"} & body.keys():
        body[key] = [_brief(layer) for layer in getattr(plan, key)]
        for layer, short in zip(getattr(plan, key), body[key], strict=True):
            short["entries"] = [_brief(entry) for entry in layer.entries]
    return _lines(body) + "\n"


def from_json(text: str) -> Plan:
    """The plan that ``to_json`` wrote."""
    body = json.loads(text)
    for key in ("layers", "data"):
        body[key] = tuple(_layer(layer) for layer in body.get(key, ()))
    return Plan(**body)


def _layer(body: dict[str, Any]) -> Layer:
    entries = tuple(_entry(entry) for entry in body.get("entries", ()))
    return Layer(entries, tuple(tuple(operation) for operation in body.get("operations", ())))


def _entry(body: dict[str, Any]) -> Entry:
    for pair in {"owner", "device"} & body.keys():
        body[pair] = tuple(body[pair])
    return Entry(**body)


def _brief(item: Plan | Layer | Entry) -> dict[str, Any]:
    """The fields that are not as usual, and those without a usual value."""
    plain = type(item)(**{f.name: getattr(item, f.name) for f in fields(item)[:1]})
    every = asdict(item)
    return {key: value for key, value in every.items() if key == fields(item)[0].name or value != getattr(plain, key)}


def _lines(value: Any, depth: int = 0) -> str:
    """JSON with a line for each item of the outer lists and objects."""
    if depth > 4 or not isinstance(value, list | dict) or not value:
        return json.dumps(value)
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        if depth == 4:
            return json.dumps(value)
        items = [f"{pad}{json.dumps(key)}: {_lines(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + "  " * depth + "}"
    items = [f"{pad}{_lines(item, depth + 1)}" for item in value]
    return "[\n" + ",\n".join(items) + "\n" + "  " * depth + "]"
