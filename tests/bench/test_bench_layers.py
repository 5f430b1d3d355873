"""The bars of ``netfs layers``: what the layers of a chain of 200,000 files hold and hide, in at most 1.5 times what
``find -printf '%s %i\\n'`` needs for the same folders, in at most 200 MB; which layer a file comes from in 20 ms.

Both read the same folders in turn, several times, from the page cache; the best time of each counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from netfs.model.layers import MountOptions
from netfs.overlay.changes.account import account
from netfs.overlay.changes.diff import diff
from netfs.overlay.disk.root import Root
from netfs.overlay.forked import Apart
from netfs.overlay.merge.trail import trail
from netfs.overlay.merge.tree import Stack
from tests.bench.layer_trees import USERXATTR, grow
from tests.bench.slack import SLACK

pytestmark = pytest.mark.bench

LAYERS, FILES = 10, 20_000
ROUNDS = 5
TIMES_FIND = 1.5
MOST_MEMORY_KB = 200_000
WHICH_SECONDS = 0.020
DIFF_SECONDS = 0.5
PROCESS = """
import sys
from netfs.overlay.changes.account import account
from netfs.overlay.disk.root import Root
from netfs.overlay.forked import Apart
from netfs.overlay.merge.tree import Stack
with Root() as root:
    trees = [root.tree(path, userxattr=sys.argv[1] == "user") for path in sys.argv[2:]]
    account(Stack([tree.root for tree in trees]), apart=Apart())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return grow(tmp_path_factory.mktemp("layers"), LAYERS, FILES)


@contextmanager
def opened(layers: list[Path]) -> Iterator[Stack]:
    with Root() as root:
        trees = [root.tree(str(path), userxattr=USERXATTR) for path in layers]
        yield Stack([tree.root for tree in trees], options=MountOptions(userxattr=USERXATTR))


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def called(layers: list[Path]) -> float:
    with opened(layers) as stack:
        return timed(lambda: account(stack, apart=Apart()))


def test_bench_usage_against_find(chain: list[Path], require_program: Callable[[str], str]) -> None:
    find = [require_program("find"), *map(str, chain), "-printf", "%s %i\n"]
    process = [sys.executable, "-c", PROCESS, "user" if USERXATTR else "trusted", *map(str, chain)]
    with opened(chain) as stack:
        files = sum(each.own.files for each in account(stack))
    assert files > 0.99 * LAYERS * FILES
    finding, calling, starting = [], [], []
    peak = 0
    for _ in range(ROUNDS):
        finding.append(timed(lambda: subprocess.run(find, check=True, stdout=subprocess.DEVNULL)))
        calling.append(called(chain))
        begin = time.perf_counter()
        peak = int(subprocess.run(process, check=True, capture_output=True, text=True).stdout)
        starting.append(time.perf_counter() - begin)
    call, whole = min(calling) / min(finding), min(starting) / min(finding)
    print(
        f"\n{files} files: find {min(finding):.3f} s, a call {min(calling):.3f} s ({call:.2f} times), a process "
        f"{min(starting):.3f} s ({whole:.2f} times), {peak / 1000:.0f} MB"
    )
    assert call <= TIMES_FIND * SLACK
    assert peak <= MOST_MEMORY_KB


def test_bench_which(chain: list[Path]) -> None:
    paths = [path.relative_to(layer) for layer in chain for path in list(layer.rglob("*.py"))[::1000]]
    with opened(chain) as stack:
        longest = max(timed(partial(trail, stack, f"/{path}")) for path in paths)
    print(f"\nwhich, the longest of {len(paths)} paths: {longest * 1000:.2f} ms")
    assert longest <= WHICH_SECONDS * SLACK


def test_bench_diff_of_a_container(chain: list[Path], tmp_path: Path) -> None:
    """A container that wrote 200 files over an image of 100,000."""
    wrote = grow(tmp_path, 1, 200)
    image = chain[LAYERS // 2 :]
    for path in list(image[0].rglob("*.py"))[:100]:
        copy = wrote[0] / path.relative_to(image[0])
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"changed")
        os.utime(copy, (1, 1))
    with opened([*wrote, *image]) as stack:
        begin = time.perf_counter()
        changes = len(list(diff(stack)))
        seconds = time.perf_counter() - begin
    print(f"\ndiff: {changes} changes in {seconds * 1000:.1f} ms")
    assert changes > 300
    assert seconds <= DIFF_SECONDS * SLACK
