"""What a plan has in it, and what of that came into play: so that a test can say that nothing was left out."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from netfs.overlay.merge.view import Node, View
from tests.property.overlay_plan import Entry, Plan


def planned(plan: Plan) -> set[str]:
    """The features of a plan, by its look alone."""
    found = set(_mounted(plan))
    kinds: dict[str, set[str]] = {}
    for layer in plan.layers:
        if layer.operations:
            found.add("layer made by the kernel")
        opaque_x = {entry.path for entry in layer.entries if entry.marks.get("opaque") == "x"}
        for entry in layer.entries:
            found.update(_of_entry(entry, entry.path.rpartition("/")[0] in opaque_x))
            kinds.setdefault(entry.path, set()).add(entry.kind)
    if any("directory" in kind and len(kind - {"whiteout"}) > 1 for kind in kinds.values()):
        found.add("non-directory over directory, or under it")
    return found


def _mounted(plan: Plan) -> Iterator[str]:
    yield "userxattr" if plan.userxattr else "trusted"
    yield "upper" if plan.upper else "lowers only"
    yield f"redirect_dir={plan.redirect_dir or 'unsaid'}"
    yield f"metacopy={ {None: 'unsaid', True: 'on', False: 'off'}[plan.metacopy] }"
    if plan.data:
        yield "data-only layers"
    if plan.read_only:
        yield "read-only"
    if len(plan.layers) >= 40:
        yield "many lowers"


def _of_entry(entry: Entry, in_opaque_x: bool) -> Iterator[str]:
    yield from _of_marks(entry, in_opaque_x)
    if any(name.startswith("overlay.") for name in entry.marks) or any(".overlay.overlay." in x for x in entry.xattrs):
        yield "escaped marks"
    if any(name.startswith(("user.overlay.", "trusted.overlay.")) for name in entry.xattrs):
        yield "marks of the other namespace"
    if any("posix_acl" in name for name in entry.xattrs):
        yield "ACL"
    if entry.kind in ("hardlink", "symlink", "fifo", "char", "block"):
        yield "hard link into another layer" if entry.below else entry.kind
    if entry.size is not None and entry.size > len(entry.text):
        yield "sparse file"
    if entry.mode & 0o7000:
        yield "setuid, setgid or sticky"
    if entry.owner != (0, 0):
        yield "other owners"
    if not entry.path.isascii() or not entry.path.isprintable() or set(entry.path) & set(" :,\\"):
        yield "weird names"


def _of_marks(entry: Entry, in_opaque_x: bool) -> Iterator[str]:
    marks = entry.marks
    if entry.kind == "whiteout":
        yield "char whiteout"
    if "whiteout" in marks and entry.text:
        yield "xattr whiteout on a file that is not empty"
    elif "whiteout" in marks and entry.kind == "file":
        yield "xattr whiteout" if in_opaque_x else "xattr whiteout outside an opaque x directory"
    if entry.kind == "directory" and "opaque" in marks:
        yield {"y": "opaque y", "x": "opaque x"}.get(marks["opaque"], "opaque with another value")
    if not entry.path and marks:
        yield "marks on a root"
    if "redirect" in marks:
        what = "metacopy's redirect" if "metacopy" in marks else "redirect"
        yield f"{what}, absolute" if marks["redirect"].startswith("/") else f"{what}, relative"
    if "metacopy" in marks:
        yield "metacopy on a directory" if entry.kind == "directory" else "metacopy"


def played(view: View) -> dict[str, int]:
    """How many objects of the merged tree owe what they are to one of the rules."""
    counts: dict[str, int] = {}
    for path, node in view.walk():
        for what in _of_node(path, node, len(view.stack.layers)):
            counts[what] = counts.get(what, 0) + 1
    return counts


def _of_node(path: str, node: Node, layers: int) -> Iterator[str]:
    yield "objects"
    if node.error:
        yield "look-up refused"
        return
    own = path.strip("/")
    if any(f"{part.directory.path}/{part.name}".strip("/") != own for part in node.parts):
        yield "found through a redirect"
    if path != "/" and len(node.directories) > 1:
        yield "merged directory"
    if node.data and node.data is not node.parts[0]:
        yield "data of a data-only layer" if node.data.layer >= layers else "data of a layer below"
    if node.closed:
        yield "open refused"
    if node.data and stat.S_ISREG(node.parts[0].status.st_mode) and node.parts[0].status.st_nlink > 1:
        yield "hard link"
