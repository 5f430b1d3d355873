"""The output that the documentation shows is what is printed, in a lab of its own."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import netfs
import netfs.lab
from netfs.container import cgroups, rates
from netfs.lab import cgroups as lab_cgroups
from netfs.lab import state
from netfs.model.cgroups import Cgroup, Cgroups, CgroupTree, Cpu, Memory, Pids
from netfs.model.containers import Container, Placed
from netfs.model.layer_answers import ChainRef, Version, Which
from netfs_cli.render.cgroups import tree
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers import versions
from netfs_cli.render.trace import render
from tests.unit.pages import DOCS, ROOT, assert_prints, assert_shown, blocks, commands_of, lines_of_shell, scenes

LAB = f"docs-{os.getpid()}"
FOLDER = "/run/netfs/lab/default"
"""Of root's lab of the usual name, as the pages have it."""


def answer(line: str, **environment: str) -> str:
    """What a command line prints. Packets go where no file of the checkout is."""
    own = str(state.folder(LAB))
    (arguments,) = commands_of(line.replace(FOLDER, own))
    words = [*arguments[:2], "--name", LAB, *arguments[2:]] if arguments[0] == "lab" else arguments
    with tempfile.TemporaryDirectory() as folder:
        words = [f"{folder}/{word}" if word.endswith(".pcapng") else word for word in words]
        command = [sys.executable, "-m", "netfs_cli", *words]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", **environment}
        environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "cli"), str(ROOT)))
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode in (0, 1), f"{line}: {done.stderr}"
        printed = done.stdout.replace(f"{folder}/", "").replace(own, FOLDER).replace(LAB, "default")
        printed = re.sub(rf" {pwd.getpwuid(os.getuid()).pw_name} ", " root ", printed)
        return printed.replace("rootless", "as root").replace(f"  {os.getuid()}:{os.getgid()}  ", "  0:0  ")


@pytest.fixture
def play(require_program: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Runs a command line as it is shown, in a lab of its own that answers to the name `default`."""
    require_program("ip")
    require_program("ping")
    yield lambda line: answer(line, NETFS_SOURCE=f"lab:{LAB}")
    if LAB in netfs.lab.names():
        netfs.lab.down(LAB)


@pytest.mark.parametrize("shown", [["a", "c"], ["a", "b"], ["…", "c", "b"], ["b", "c"], ["a", "x", "…"]], ids=" ".join)
def test_output_that_is_not_what_is_printed_would_be_noticed(shown: list[str]) -> None:
    assert_shown("", ["a", "…", "c"], ["a", "b", "c"])
    with pytest.raises(AssertionError):
        assert_shown("", shown, ["a", "b", "c"])


def limited() -> bool:
    """Whether the lab's pods have control groups."""
    return bool(lab_cgroups.bases(LAB, os.geteuid() == 0))


def as_told_here(shown: list[str]) -> list[str]:
    """What ``netfs inspect`` shows: of a pod that has no control group of its own, it is known by something else."""
    if limited():
        return shown
    text = re.sub(r"(?m)^  Cgroup: .+\n(?: {14}.+\n)+", "…\n", "\n".join(shown))
    return re.sub(r"(?m)^  ID: ", "…\n  ID: ", text).splitlines()


@pytest.mark.kernel
def test_the_class_room_of_the_readme_prints_what_is_shown(
    play: Callable[[str], str], require_program: Callable[[str], str]
) -> None:
    require_program("iptables-nft")
    text = (ROOT / "README.md").read_text()
    first, *lessons = scenes(text)
    assert [line.split()[1:3] for line, _ in lessons][:2] == [["lab", "up"], ["trace", "pod-a"]]
    for line, shown in lessons:
        assert_prints(line, as_told_here(shown), play(line))
        if "break" in line:
            assert_prints(*first, play(first[0]))


@pytest.mark.kernel
def test_the_recipes_that_show_output_print_it(
    play: Callable[[str], str], require_program: Callable[[str], str]
) -> None:
    require_program("iptables-nft")
    for line, shown in scenes((DOCS / "how-to.md").read_text()):
        if "netns:" not in line:
            assert_prints(line, shown, play(line))


@pytest.mark.kernel
def test_where_nobody_can_look_the_page_shows_what_is_printed(play: Callable[[str], str]) -> None:
    (shown,) = (block for block in blocks((DOCS / "how-to.md").read_text()) if "a plain ping" in "".join(block))
    play("netfs lab up")
    play("netfs lab break underlay-drops-vxlan")
    whole = netfs.load(f"lab:{LAB}")
    cluster = netfs.Cluster(replace(whole.snapshots, nodes=whole.nodes), whole.uris)
    trace = cluster.trace("pod-a", "pod-b", live=netfs.Wish(wait_s=0.4))
    assert_prints("its underlay left out", shown, render(trace, Ink(colour=False), width=None, wide=False))


def listened_to() -> bool:
    """Whether there is a tap in every namespace of the lab."""
    lab = netfs.lab.status(LAB)
    sockets = [Path(f"/proc/{member.pid}/net/packet") for member in (*lab.nodes, *lab.pods, lab.fabric)]
    return all(len(path.read_text().splitlines()) > 1 for path in sockets)


@pytest.mark.kernel
def test_the_page_on_capturing_shows_what_is_heard(play: Callable[[str], str]) -> None:
    text = (DOCS / "capture.md").read_text()
    (ping,) = {
        f"netfs {shlex.join(words)}" for line in lines_of_shell(text) for words in commands_of(line) if "ping" in words
    }
    for line, shown in scenes(text):
        with ThreadPoolExecutor() as other_terminal:
            printing = other_terminal.submit(play, line)
            while "capture" in line and not printing.done() and not listened_to():
                time.sleep(0.01)
            if "capture" not in line:
                printing.result()
            play(ping)
            assert_prints(line, shown, printing.result())


@pytest.mark.kernel
def test_the_page_on_layers_shows_what_is_printed(play: Callable[[str], str]) -> None:
    for line, shown in scenes((DOCS / "layers.md").read_text()):
        assert_prints(line, shown, play(line))


def test_of_what_is_mounted_over_the_page_shows_what_is_printed() -> None:
    """No container of a lab has such a mount: the answer about one of Docker's is written down here."""
    (shown,) = (block for block in blocks((DOCS / "layers.md").read_text()) if "mounted there" in "".join(block))
    layer, container = f"e7242b56e151{'0' * 52}-init", f"c921f7b3fbc3{'0' * 52}"
    empty = Version(
        id=layer,
        path=f"/var/lib/docker/overlay2/{layer}/diff/etc/hosts",
        fate="provides",
        type="file",
        mode="-rwxr-xr-x",
        modified_at="2026-11-21T17:33:57Z",
        role="init",
        used_by=("web",),
    )
    answer = Which(
        chain=ChainRef("container", "web", container, "docker", "/var/lib/docker"),
        path="/etc/hosts",
        resolved="/etc/hosts",
        provider=empty,
        covered_at="/etc/hosts",
        covered_by=f"/var/lib/docker/containers/{container}/hosts",
    )
    assert_prints("netfs layers which", shown, versions.render(answer, Ink(colour=False), wide=False))


def with_its_numbers(line: str) -> str:
    """A command line of the page on containers, asking for this lab's pod."""
    if LAB not in netfs.lab.names():
        return line
    pid = netfs.lab.status(LAB).member("pod-a").pid
    net = os.stat(f"/proc/{pid}/ns/net").st_ino
    return re.sub(r"namespaces \d+", f"namespaces {net}", re.sub(r"pid/\d+", f"pid/{pid}", line))


def swaps() -> bool:
    """Whether memory beyond a limit may go to disk, where nobody need be killed."""
    return re.search(r"^SwapTotal: +0 kB$", Path("/proc/meminfo").read_text(), re.MULTILINE) is None


def printed_by_python(text: str) -> str:
    """What the page's lines of Python print, of this lab."""
    (lines,) = (block for block in blocks(text) if any("netfs.containers(" in line for line in block))
    code = "\n".join(lines).replace('"lab"', f'"lab:{LAB}"')
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    return printed.getvalue()


@pytest.mark.kernel
def test_the_page_on_containers_shows_what_is_printed(
    play: Callable[[str], str], require_program: Callable[[str], str]
) -> None:
    require_program("unshare")
    text = (DOCS / "containers.md").read_text()
    needs = {"cgroups": limited(), "oom-killed": limited() and not swaps(), "--tree": os.geteuid() == 0}
    needs["status 137"] = needs["oom-killed"]
    for line, shown in scenes(text):
        if not all(there for words, there in needs.items() if words in "\n".join((line, *shown))):
            continue
        if line == "netfs lab down" and limited():
            assert "default/pod-a/app" in printed_by_python(text)
        assert_prints(line, as_told_here(shown), play(with_its_numbers(line)))


def throttled(seconds: int) -> tuple[Cgroup, ...]:
    """The groups of the page's node1 so long after three loops began in pod-c."""
    kib, second = 1024, 1_000_000
    pod_c, pod_a = "pod4bd4e613-1c7d-4512-89a0-bc10825954ba", "pod9bb860b4-a6e4-4cf9-89da-f85d815086f4"
    below = "/netfs-lab-default/kubepods"
    rows = (  # path, time used each second, working set, processes
        ("/", 1_040_000, 305 * 1024, None),
        ("/netfs-lab-default", second, 5632, 8),
        (below, second, 5632, 8),
        (f"{below}/{pod_c}", second, 2048, 5),
        (f"{below}/{pod_c}/4bd4e6131c7d{'0' * 52}", second, 1946, 5),
        (f"{below}/{pod_a}", 0, 1434, 1),
        (f"{below}/{pod_a}/9bb860b4a6e4{'0' * 52}", 0, 1434, 1),
    )
    return tuple(
        Cgroup(
            path,
            ("cpu", "memory", "pids"),
            cpu=Cpu(
                usage_us=used * seconds,
                quota_us=100_000 if "/pod" in path else None,
                period_us=100_000,
                periods=10 * seconds if pod_c in path else 0,
                throttled_periods=10 * seconds if pod_c in path else 0,
                throttled_us=500_000 * seconds,
            ),
            memory=Memory(held * kib, (128 << 20) if "/pod" in path else None, held * kib),
            processes=None if count is None else Pids(count, 256 if path.endswith((pod_c, pod_a)) else None),
        )
        for path, used, held, count in rows
    )


def test_of_what_is_throttled_the_page_shows_what_is_printed() -> None:
    """How much a busy machine throttles is not to be known before: two readings are written down here."""
    (shown,) = (block for block in blocks((DOCS / "containers.md").read_text()) if "just now" in "".join(block))
    placed = [
        Placed(Container(f"{each}{'0' * 52}", "app", pod=pod, namespace="default", pod_uid=uid, role="app"), "node1")
        for each, pod, uid in (
            ("4bd4e6131c7d", "pod-c", "4bd4e613-1c7d-4512-89a0-bc10825954ba"),
            ("9bb860b4a6e4", "pod-a", "9bb860b4-a6e4-4cf9-89da-f85d815086f4"),
        )
    ]
    before, after = (
        Cgroups((cgroups.told(CgroupTree("", "v1", groups=throttled(at), taken_at=at), placed, node="node1"),))
        for at in (2, 4)
    )
    printed = tree.render(rates.following(before, after, placed), Ink(colour=False), width=None, wide=False)
    assert_prints("of node1", shown, printed.partition("\n")[2])
