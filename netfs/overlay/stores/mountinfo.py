"""mountinfo (proc_pid_mountinfo(5)): the overlays that are mounted, and of which layers each is made.

The text of an option is escaped up to three times. The kernel shows a space, a tab, a newline, a backslash and a comma
in octal (``seq_show_option``, fs/overlayfs/params.c). What is below that is the text that the mounter gave: in
``upperdir=``, ``workdir=`` and ``lowerdir=`` a backslash takes the next character literally (``ovl_unescape``), and in
``lowerdir=`` a colon that is not so taken parts the layers, two of them begin the data-only ones. ``lowerdir+=`` and
``datadir+=`` hold one layer each, taken as it is. All of them are shown in full, however long.

Two things cannot be told from the text:

- an upper or work directory given by descriptor (FSCONFIG_SET_FD, 6.13) is shown as its path, without the escapes that
  a text would have: where it holds a backslash, the path that is told here lacks it;
- a kernel 6.5 before its fix shows ``lowerdir=`` with a raw comma: what follows the comma is lost. A raw space is not.

Options that stand at their default are not shown; the default is the module's, so that it is given to ``parse``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from netfs.model.layers import Mount, MountOptions

KINDS = ("overlay", "fuse.fuse-overlayfs")
"""fuse-overlayfs shows none of its layers; they stand in its arguments alone."""

_LINE = re.compile(
    r"(?P<id>[0-9]{1,10}) [0-9]{1,10} (?P<device>[0-9]{1,8}:[0-9]{1,8}) (?P<root>[^ ]+) (?P<mountpoint>[^ ]+) "
    r"(?P<mount>[^ ]+)(?: [^ ]+)*? - (?P<kind>overlay|fuse\.fuse-overlayfs) [^ ]* (?P<options>.*)",
    re.DOTALL,
)
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_LITERAL = re.compile(r"\\(.?)", re.DOTALL)
_LAYER = re.compile(r"(:*)((?:[^\\:]|\\.|\\$)*)", re.DOTALL)
"""What parts a layer from the one before, and the layer."""
_REDIRECT_DIR = frozenset(("on", "follow", "nofollow", "off"))
_DEFAULT = MountOptions()


def parse(text: str, pid: int = 0, default: MountOptions = _DEFAULT) -> tuple[Mount, ...]:
    """Every overlay in a mountinfo, in its order: a later one may cover an earlier one.

    ``text`` is as ``os.fsdecode`` makes it. ``pid`` is that of the process whose mountinfo it is, and is only handed
    on. ``default`` is what an overlay has where the line does not say otherwise. A line that has not the form of
    proc_pid_mountinfo(5) is left out; an option that is not known counts as not said.
    """
    mounts = []
    for line in text.split("\n"):
        if " - overlay " in line or " - fuse.fuse-overlayfs " in line:
            found = _LINE.fullmatch(line)
            if found is not None:
                mounts.append(_mount(found, pid, default))
    return tuple(mounts)


def mountpoints(text: str) -> frozenset[str]:
    """Where anything is mounted, of whatever file system."""
    fields = (line.split(" ", 5) for line in text.split("\n"))
    return frozenset(_decoded(found[4]) for found in fields if len(found) > 5)


def _mount(found: re.Match[str], pid: int, default: MountOptions) -> Mount:
    options = found["options"].split(",")
    lower: list[str] = []
    data: list[str] = []
    directories: dict[str, str] = {}
    for option in options:
        key, equals, shown = option.partition("=")
        value = _decoded(shown)
        if not equals or not value:
            continue
        if key == "lowerdir":
            _part(value, lower, data)
        elif key == "lowerdir+":
            lower.append(value)
        elif key == "datadir+":
            data.append(value)
        elif key in {"upperdir", "workdir"}:
            directories[key] = _unescaped(value)
    return Mount(
        mountpoint=_decoded(found["mountpoint"]),
        lower=tuple(lower),
        data=tuple(data),
        upper=directories.get("upperdir"),
        work=directories.get("workdir"),
        options=_said(options, default),
        read_only="ro" in options or "ro" in found["mount"].split(","),
        id=int(found["id"]),
        device=found["device"],
        pid=pid,
        kind=found["kind"],
        root=_decoded(found["root"]),
    )


def _said(options: list[str], default: MountOptions) -> MountOptions:
    """What decides the merge. ``volatile`` is shown as ``fsync=volatile`` by newer kernels."""
    said = dict(option.partition("=")[::2] for option in options)
    redirect_dir = said.get("redirect_dir", "")
    return replace(
        default,
        userxattr="userxattr" in said or default.userxattr,
        redirect_dir=redirect_dir if redirect_dir in _REDIRECT_DIR else default.redirect_dir,
        metacopy=_switch(said.get("metacopy"), default.metacopy),
        index=_switch(said.get("index"), default.index),
        xino=said.get("xino", default.xino),
        volatile="volatile" in said or said.get("fsync") == "volatile" or default.volatile,
    )


def _switch(said: str | None, default: bool) -> bool:
    return said == "on" if said in {"on", "off"} else default


def _part(value: str, lower: list[str], data: list[str]) -> None:
    """Part the layers of ``lowerdir=`` (``ovl_parse_param_split_lowerdirs``): data-only ones stand behind ``::``."""
    only_data = False
    for colons, layer in _LAYER.findall(value):
        only_data |= len(colons) > 1
        if layer:
            (data if only_data else lower).append(_unescaped(layer))


def _decoded(shown: str) -> str:
    return _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), shown) if "\\" in shown else shown


def _unescaped(value: str) -> str:
    return _LITERAL.sub(r"\1", value) if "\\" in value else value
