"""The rules of fs/overlayfs as a table: a stack of layers, and what Linux 6.18 shows when it mounts them.

Layers stand uppermost first. ``seen`` is the whole merged view: of a file its text, of a directory ``/``, of a symlink
``-> target``, of anything else its type; where the kernel refuses, the name of its errno.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netfs.model.layers import MountOptions
from netfs.overlay.merge.tree import Stack
from tests.unit.trees import WHITEOUT, Entries, Item, device, directory, file, symlink, tree

X_WHITEOUT = file(whiteout="")


@dataclass(frozen=True)
class Case:
    name: str
    layers: tuple[Entries | Item, ...]
    seen: Mapping[str, str]
    data: tuple[Entries, ...] = ()
    upper: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        options = MountOptions(**self.options)
        layers = [tree(each, userxattr=options.userxattr) for each in self.layers]
        data = [tree(each, userxattr=options.userxattr) for each in self.data]
        return Stack(layers, data, self.upper, options)


METACOPY = {"metacopy": True, "redirect_dir": "on"}
USER = {"userxattr": True}
NOFOLLOW = {"redirect_dir": "nofollow"}

WHITEOUTS = (
    Case("a device 0:0 hides a name", ({"d": {"a": WHITEOUT}}, {"d": {"a": "1", "b": "2"}}), {"/d": "/", "/d/b": "2"}),
    Case("it hides a directory", ({"d": WHITEOUT}, {"d": {"a": "1"}}), {}),
    Case("it stops a merge", ({"d": {"a": "0"}}, {"d": WHITEOUT}, {"d": {"b": "2"}}), {"/d": "/", "/d/a": "0"}),
    Case("in the lowest layer it is listed, and not there", ({"b": "2"}, {"a": WHITEOUT}), {"/b": "2"}),
    Case("so it is in a directory of one layer", ({"d": {"a": WHITEOUT}}, {}), {"/d": "/"}),
    Case("another device is one", ({"a": device(0, 1)}, {"a": "1"}), {"/a": "char"}),
    Case("a block device 0:0 is one", ({"a": device(0, 0, stat.S_IFBLK)}, {"a": "1"}), {"/a": "block"}),
    Case("an aufs name is a name", ({".wh.a": ""}, {"a": "1"}), {"/.wh.a": "", "/a": "1"}),
    Case(
        "an empty file with the mark hides, in a directory marked x",
        ({"d": directory({"a": X_WHITEOUT}, opaque="x")}, {"d": {"a": "1", "b": "2"}}),
        {"/d": "/", "/d/b": "2"},
    ),
    Case(
        "also in one that is not, though the name is listed",
        ({"d": {"a": X_WHITEOUT}}, {"d": {"a": "1", "b": "2"}}),
        {"/d": "/", "/d/b": "2"},
    ),
    Case(
        "also in the upper layer",
        ({"d": directory({"a": X_WHITEOUT}, opaque="x")}, {"d": {"a": "1", "b": "2"}}),
        {"/d": "/", "/d/b": "2"},
        upper=True,
    ),
    Case("a file with the mark and bytes is a file", ({"a": file("0", whiteout="")}, {"a": "1"}), {"/a": "0"}),
    Case("a symlink with the mark is a symlink", ({"a": symlink("b", whiteout="")}, {"a": "1"}), {"/a": "-> b"}),
)

DIRECTORIES = (
    Case("directories merge", ({"d": {"a": "0"}}, {"d": {"b": "1"}}), {"/d": "/", "/d/a": "0", "/d/b": "1"}),
    Case("a file hides a directory", ({"d": "0"}, {"d": {"a": "1"}}), {"/d": "0"}),
    Case("a directory hides a file", ({"d": {"a": "0"}}, {"d": "1"}), {"/d": "/", "/d/a": "0"}),
    Case(
        "and a symlink to one",
        ({"d": {"a": "0"}}, {"d": symlink("e"), "e": {"b": "1"}}),
        {"/d": "/", "/d/a": "0", "/e": "/", "/e/b": "1"},
    ),
    Case(
        "a file between them stops the merge",
        ({"d": {"a": "0"}}, {"d": "1"}, {"d": {"b": "2"}}),
        {"/d": "/", "/d/a": "0"},
    ),
    Case(
        "an opaque one stops it",
        ({"d": {"a": "0"}}, {"d": directory({"b": "1"}, opaque="y")}, {"d": {"c": "2"}}),
        {"/d": "/", "/d/a": "0", "/d/b": "1"},
    ),
    Case(
        "an opaque one of the upper layer too",
        ({"d": directory({"b": "1"}, opaque="y")}, {"d": {"c": "2"}}),
        {"/d": "/", "/d/b": "1"},
        upper=True,
    ),
    Case("x is not opaque", ({"d": directory(opaque="x")}, {"d": {"c": "2"}}), {"/d": "/", "/d/c": "2"}),
    Case("nor is a longer value", ({"d": directory(opaque="yes")}, {"d": {"c": "2"}}), {"/d": "/", "/d/c": "2"}),
    Case("nor an empty one", ({"d": directory(opaque="")}, {"d": {"c": "2"}}), {"/d": "/", "/d/c": "2"}),
    Case("nor a file", ({"d": file("0", opaque="y")}, {"d": "1"}), {"/d": "0"}),
)

NAMESPACES = (
    Case(
        "user.* counts for nothing without userxattr",
        ({"d": directory(xattrs={"user.overlay.opaque": b"y"})}, {"d": {"a": "1"}}),
        {"/d": "/", "/d/a": "1"},
    ),
    Case("with it user.* counts", ({"d": directory(opaque="y")}, {"d": {"a": "1"}}), {"/d": "/"}, options=USER),
    Case(
        "and trusted.* does not",
        ({"d": directory(xattrs={"trusted.overlay.opaque": b"y"})}, {"d": {"a": "1"}}),
        {"/d": "/", "/d/a": "1"},
        options=USER,
    ),
    Case(
        "an escaped mark is for another overlay",
        ({"d": directory(xattrs={"trusted.overlay.overlay.opaque": b"y"})}, {"d": {"a": "1"}}),
        {"/d": "/", "/d/a": "1"},
    ),
)

REDIRECTS = (
    Case(
        "an absolute one",
        ({"new": directory({"a": "0"}, redirect="/x/old"), "x": {"old": WHITEOUT}}, {"x": {"old": {"b": "1"}}}),
        {"/new": "/", "/new/a": "0", "/new/b": "1", "/x": "/"},
    ),
    Case(
        "a relative one",
        (
            {"x": {"new": directory({"a": "0"}, redirect="old"), "old": WHITEOUT}},
            {"x": {"old": {"b": "1"}, "new": {"c": "2"}}},
        ),
        {"/x": "/", "/x/new": "/", "/x/new/a": "0", "/x/new/b": "1"},
    ),
    Case(
        "a relative, then an absolute one",
        (
            {"x": {"c": directory({"0": ""}, redirect="b"), "b": WHITEOUT}},
            {"x": {"b": directory({"1": ""}, redirect="/a")}, "a": WHITEOUT},
            {"a": {"2": ""}},
        ),
        {"/x": "/", "/x/c": "/", "/x/c/0": "", "/x/c/1": "", "/x/c/2": ""},
    ),
    Case(
        "one on the way of an absolute one",
        (
            {"c": directory({"0": ""}, redirect="/x/b")},
            {"x": directory({"b": {"1": ""}}, redirect="y")},
            {"y": {"b": {"2": ""}}, "x": {"b": {"3": ""}}},
        ),
        {
            "/c": "/",
            "/c/0": "",
            "/c/1": "",
            "/c/2": "",
            "/x": "/",
            "/x/b": "/",
            "/x/b/1": "",
            "/x/b/2": "",
            "/y": "/",
            "/y/b": "/",
            "/y/b/2": "",
        },
    ),
    Case(
        "an absolute one leads out of an opaque directory",
        (
            {"d": directory({"new": directory({"a": "0"}, redirect="/old")}, opaque="y"), "old": WHITEOUT},
            {"d": {"c": "2"}, "old": {"b": "1"}},
        ),
        {"/d": "/", "/d/new": "/", "/d/new/a": "0", "/d/new/b": "1"},
    ),
    Case(
        "a relative one does not",
        ({"d": directory({"new": directory({"a": "0"}, redirect="old")}, opaque="y")}, {"d": {"old": {"b": "1"}}}),
        {"/d": "/", "/d/new": "/", "/d/new/a": "0"},
    ),
    Case(
        "an opaque directory's own counts for nothing",
        ({"new": directory({"a": "0"}, redirect="/old", opaque="y")}, {"old": {"b": "1"}}),
        {"/new": "/", "/new/a": "0", "/old": "/", "/old/b": "1"},
    ),
    Case(
        "the same directory twice",
        ({"n1": directory(redirect="/old"), "n2": directory(redirect="/old")}, {"old": {"b": "1"}}),
        {"/n1": "/", "/n1/b": "1", "/n2": "/", "/n2/b": "1", "/old": "/", "/old/b": "1"},
    ),
    Case(
        "to nothing",
        ({"new": directory({"a": "0"}, redirect="/none/at/all")}, {"new": {"b": "1"}}),
        {"/new": "/", "/new/a": "0"},
    ),
    Case(
        "to a file",
        ({"new": directory({"a": "0"}, redirect="/file")}, {"file": "1"}),
        {"/new": "/", "/new/a": "0", "/file": "1"},
    ),
    Case(
        "to a symlink",
        ({"new": directory({"a": "0"}, redirect="/link/b")}, {"link": symlink("dir"), "dir": {"b": {"c": ""}}}),
        {"/new": "/", "/new/a": "0", "/link": "-> dir", "/dir": "/", "/dir/b": "/", "/dir/b/c": ""},
    ),
    Case(
        "refused", ({"new": directory(redirect="/old")}, {"old": {}}), {"/new": "EPERM", "/old": "/"}, options=NOFOLLOW
    ),
    Case(
        "refused with userxattr",
        ({"new": directory(redirect="/old")}, {"old": {}}),
        {"/new": "EPERM", "/old": "/"},
        options=USER,
    ),
    Case(
        "not read in the lowest layer",
        ({"new": {"a": "0"}}, {"new": directory({"b": "1"}, redirect="/old//")}),
        {"/new": "/", "/new/a": "0", "/new/b": "1"},
    ),
    Case("empty", ({"new": directory(redirect="")}, {}), {"/new": "EINVAL"}),
    Case("with //", ({"new": directory(redirect="/a//b")}, {}), {"/new": "EINVAL"}),
    Case("with / at the end", ({"new": directory(redirect="/a/")}, {}), {"/new": "EINVAL"}),
    Case("of a slash", ({"new": directory(redirect="/")}, {}), {"/new": "EINVAL"}),
    Case("a relative path", ({"new": directory(redirect="a/b")}, {}), {"/new": "EINVAL"}),
    Case("..", ({"new": directory(redirect="..")}, {}), {"/new": "EACCES"}),
    Case(".", ({"new": directory(redirect=".")}, {}), {"/new": "EACCES"}),
    Case(
        "with .. in it",
        ({"new": directory(redirect="/a/../b")}, {"a": {}, "b": {}}),
        {"/new": "EACCES", "/a": "/", "/b": "/"},
    ),
    Case("with .. where nothing is", ({"new": directory(redirect="/a/../b")}, {"b": {}}), {"/new": "/", "/b": "/"}),
    Case("a name too long", ({"new": directory(redirect="n" * 256)}, {"b": {}}), {"/new": "/", "/b": "/"}),
    Case("to NUL", ({"new": directory(redirect=b"\0b")}, {"b": {}}), {"/new": "EACCES", "/b": "/"}),
    Case(
        "up to a NUL",
        ({"new": directory(redirect=b"b\0/c")}, {"b": {"c": ""}}),
        {"/new": "/", "/new/c": "", "/b": "/", "/b/c": ""},
    ),
)

METACOPIES = (
    Case("of the same name", ({"a": file(size=3, metacopy="")}, {"a": "abc"}), {"/a": "abc"}, options=METACOPY),
    Case("refused", ({"a": file(size=3, metacopy="")}, {"a": "abc"}), {"/a": "EPERM"}),
    Case("refused with nothing below", ({"a": file(size=3, metacopy="")}, {}), {"/a": "EPERM"}),
    Case(
        "with a redirect",
        ({"a": file(metacopy="", redirect="/d/b")}, {"d": {"b": "abc"}}),
        {"/a": "abc", "/d": "/", "/d/b": "abc"},
        options=METACOPY,
    ),
    Case(
        "refused with a redirect", ({"a": file(metacopy="", redirect="/b")}, {"b": "abc"}), {"/a": "EPERM", "/b": "abc"}
    ),
    Case(
        "in the middle",
        (
            {"a": file(metacopy="", redirect="/b"), "b": WHITEOUT},
            {"b": file(metacopy="", redirect="c"), "c": WHITEOUT},
            {"c": "abc"},
        ),
        {"/a": "abc"},
        options=METACOPY,
    ),
    Case("in the lowest layer", ({}, {"a": file("", metacopy="")}), {"/a": "EIO"}, options=METACOPY),
    Case("of nothing", ({"a": file("", metacopy="")}, {}), {"/a": "EIO"}, options=METACOPY),
    Case(
        "of the upper layer, of nothing",
        ({"a": file("", metacopy="")}, {}),
        {"/a": "EIO"},
        upper=True,
        options=METACOPY,
    ),
    Case("over a directory", ({"a": file("", metacopy="")}, {"a": {}}, {"a": "abc"}), {"/a": "EIO"}, options=METACOPY),
    Case(
        "over a whiteout",
        ({"a": file("", metacopy="")}, {"a": WHITEOUT}, {"a": "abc"}),
        {"/a": "EIO"},
        options=METACOPY,
    ),
    Case(
        "over a symlink",
        ({"a": file("", metacopy="")}, {"a": symlink("b")}, {"a": "abc"}),
        {"/a": "EIO"},
        options=METACOPY,
    ),
    Case(
        "with a digest",
        ({"a": file(metacopy=b"\0\x24\0\x01" + bytes(32))}, {"a": "abc"}),
        {"/a": "abc"},
        options=METACOPY,
    ),
    Case("with too short a value", ({"a": file(metacopy=b"\0\0\0")}, {"a": "abc"}), {"/a": "EIO"}, options=METACOPY),
    Case("also where it is refused", ({"a": file(metacopy=b"\0\0\0")}, {"a": "abc"}), {"/a": "EIO"}),
    Case(
        "with an unknown version", ({"a": file(metacopy=b"\x07\0\0\0")}, {"a": "abc"}), {"/a": "abc"}, options=METACOPY
    ),
    Case(
        "with a bad redirect",
        ({"a": file(metacopy="", redirect="/b/")}, {"a": "abc"}),
        {"/a": "EINVAL"},
        options=METACOPY,
    ),
    Case(
        "a redirect without the mark",
        ({"a": file("0", redirect="/b")}, {"b": "1"}),
        {"/a": "0", "/b": "1"},
        options=METACOPY,
    ),
    Case("a symlink with the mark", ({"a": symlink("b", metacopy="")}, {}), {"/a": "-> b"}, options=METACOPY),
    Case(
        "out of an opaque directory",
        ({"d": directory({"a": file(metacopy="", redirect="/b")}, opaque="y")}, {"b": "abc"}),
        {"/d": "/", "/d/a": "abc", "/b": "abc"},
        options=METACOPY,
    ),
    Case(
        "in an opaque directory",
        ({"d": directory({"a": file(metacopy="")}, opaque="y")}, {"d": {"a": "abc"}}),
        {"/d": "/", "/d/a": "EIO"},
        options=METACOPY,
    ),
    Case(
        "below a redirect",
        ({"new": directory({"a": file(metacopy="")}, redirect="/old"), "old": WHITEOUT}, {"old": {"a": "abc"}}),
        {"/new": "/", "/new/a": "abc"},
        options=METACOPY,
    ),
)

TO_DATA = file(size=3, metacopy="", redirect="/o/1")
HAVE: tuple[Entries, ...] = ({"o": {"1": "abc"}},)
DATA_ONLY = (
    Case("names are not seen", ({"a": "0"}, {}), {"/a": "0"}, data=({"b": "1"},), options=METACOPY),
    Case("from the last of the others", ({}, {"a": TO_DATA}), {"/a": "abc"}, data=HAVE),
    Case("from another", ({"a": TO_DATA}, {}), {"/a": "EPERM"}, data=HAVE),
    Case("from another with metacopy", ({"a": TO_DATA}, {}), {"/a": "abc"}, data=HAVE, options=METACOPY),
    Case("with userxattr", ({}, {"a": TO_DATA}), {"/a": "abc"}, data=HAVE, options=USER),
    Case("with nofollow", ({}, {"a": TO_DATA}), {"/a": "abc"}, data=HAVE, options=NOFOLLOW),
    Case(
        "the first that has it", ({"a": TO_DATA},), {"/a": "abc"}, data=({}, {"o": {"1": "abc"}}, {"o": {"1": "xyz"}})
    ),
    Case("none has it", ({"a": TO_DATA},), {"/a": "ENOENT"}, data=({"o": {}}, {})),
    Case("no directory on the way", ({"a": TO_DATA},), {"/a": "ENOTDIR"}, data=({"o": "1"},)),
    Case("a symlink on the way", ({"a": TO_DATA},), {"/a": "ELOOP"}, data=({"o": symlink("p"), "p": {"1": "abc"}},)),
    Case("a symlink at the end", ({"a": TO_DATA},), {"/a": "ENOENT"}, data=({"o": {"1": symlink("2"), "2": "abc"}},)),
    Case("a directory at the end", ({"a": TO_DATA},), {"/a": "ENOENT"}, data=({"o": {"1": {}}},)),
    Case("by way of ..", ({"a": file(metacopy="", redirect="/o/../p")},), {"/a": "abc"}, data=({"o": {}, "p": "abc"},)),
    Case(
        "by way of .. out of it", ({"a": file(metacopy="", redirect="/../p")},), {"/a": "EXDEV"}, data=({"p": "abc"},)
    ),
    Case("a relative redirect", ({"a": file(metacopy="", redirect="b")},), {"/a": "EPERM"}, data=({"b": "abc"},)),
    Case(
        "a relative redirect with metacopy",
        ({"a": file(metacopy="", redirect="b")},),
        {"/a": "EIO"},
        data=({"b": "abc"},),
        options=METACOPY,
    ),
    Case("no redirect", ({"a": file(metacopy="")},), {"/a": "EIO"}, data=({"a": "abc"},), options=METACOPY),
    Case(
        "a lower layer has it",
        ({"a": TO_DATA}, {"o": {"1": "xyz"}}),
        {"/a": "xyz", "/o": "/", "/o/1": "xyz"},
        data=HAVE,
        options=METACOPY,
    ),
    Case("straight from the upper layer", ({"a": TO_DATA}, {}), {"/a": "EIO"}, data=HAVE, upper=True, options=METACOPY),
    Case(
        "from the upper layer through a metacopy",
        ({"a": file(metacopy="", size=3)}, {"a": TO_DATA}),
        {"/a": "abc"},
        data=HAVE,
        upper=True,
        options=METACOPY,
    ),
    Case(
        "a redirect in the lowest layer is read",
        ({"new": directory({"a": ""}, redirect="/old")},),
        {"/new": "EPERM"},
        data=({},),
        options=NOFOLLOW,
    ),
)

OPAQUE_ROOT = directory({"a": "0"}, opaque="y")
ROOTS = (
    Case("an opaque one is merged", (OPAQUE_ROOT, {"b": "1"}), {"/a": "0", "/b": "1"}),
    Case("also of the upper layer", (OPAQUE_ROOT, {"b": "1"}), {"/a": "0", "/b": "1"}, upper=True),
)

GROUPS = {
    "whiteouts": WHITEOUTS,
    "directories": DIRECTORIES,
    "namespaces": NAMESPACES,
    "redirects": REDIRECTS,
    "metacopies": METACOPIES,
    "data-only layers": DATA_ONLY,
    "roots": ROOTS,
}
