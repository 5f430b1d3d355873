"""What a run imports: a command pays for what it uses, and for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("", "cli", "plugins"))
HEAVY = {"scapy", "networkx", "graphviz", "psutil", "kubernetes", "lightkube", "pyroute2", "rich", "yaml"}


def imported(*arguments: str, before: str = "") -> set[str]:
    """The modules that a run of the command has loaded when it is done."""
    code = (
        f"import sys\n{before}\nfrom netfs_cli.main import main\n"
        f"sys.argv = ['netfs', *{list(arguments)!r}]\n"
        "main()\n"
        "sys.stderr.write('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_imports_next_to_nothing(flag: str) -> None:
    ours = {name for name in imported(flag) if name.partition(".")[0] in {"netfs", "netfs_cli"}}
    assert ours == {"netfs", "netfs_cli", "netfs_cli.main"}
    assert not {"click", "msgspec", "json", "dataclasses"} & imported(flag)


def test_help_imports_no_command() -> None:
    modules = imported("--help")
    assert not HEAVY & modules
    assert not {name for name in modules if name.startswith(("netfs_cli.commands.", "netfs.api", "netfs.lab"))}
    assert "msgspec" not in modules


@pytest.mark.parametrize("arguments", ["trace a b", "get nodes", "get links", "doctor"])
def test_a_command_imports_no_heavy_library(arguments: str) -> None:
    prepared = (
        "import netfs\n"
        "from tests.cli.answers import DELIVERED\n"
        "from tests.cli.conftest import FakeCluster\n"
        "from tests.unit.clusters import two_nodes\n"
        "vars(netfs)['load'] = lambda *uris, timeout=None: FakeCluster(two_nodes(), DELIVERED)\n"
        "loaded = {'yaml', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    assert not HEAVY & imported(*arguments.split(), before=prepared)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_real_trace_of_a_file_imports_no_heavy_library(form: str, tmp_path: Path) -> None:
    prepared = (
        "import netfs\n"
        "from netfs.model.snapshot import Snapshots\n"
        "from tests.unit.clusters import cluster\n"
        f"netfs.save(Snapshots(tuple(cluster())), {str(tmp_path / 'c.json')!r})"
    )
    modules = imported(
        "trace", "pod-a", "pod-b", "-o", form, "--source", f"file:{tmp_path / 'c.json'}", before=prepared
    )
    assert not HEAVY & modules


NO_ENGINES = "from netfs.container.node import Node\nNode.engines = ()"
ABOUT_NETWORKS = {"netfs.model.snapshot", "netfs.model.kubernetes", "netfs.sources.load", "netfs.collect.run"}
ABOUT_LAYERS = {"netfs.model.layers", "netfs.overlay.reading", "netfs.overlay.disk.tree", "netfs.overlay.merge"}
ABOUT_LABS = {"netfs.lab.state"}
NOT_FOR_TEXT = {"msgspec", "json", "pathlib", "shutil", "difflib", "textwrap", "ipaddress", "urllib.parse"}


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ("namespaces", {"netfs.model.cgroups", "netfs.collect.cgroups.read"}),
        ("cgroups", {"netfs.model.namespaces", "netfs.collect.namespaces", "netfs.collect.netlink", "socket"}),
    ],
)
def test_what_is_read_of_the_kernel_needs_neither_networks_nor_layers(arguments: str, others: set[str]) -> None:
    modules = imported(arguments, "--source", "local", before=NO_ENGINES)
    assert f"netfs.container.answers.{arguments}" in modules
    assert not (HEAVY | ABOUT_NETWORKS | ABOUT_LAYERS | ABOUT_LABS | NOT_FOR_TEXT | others) & modules


def test_a_container_is_inspected_without_layers_where_it_has_none() -> None:
    modules = imported("inspect", f"pid/{os.getpid()}", "--source", "local", before=NO_ENGINES)
    assert "netfs.container.inspected" in modules
    assert not ((HEAVY - {"psutil"}) | {"msgspec", "netfs.lab.state", "netfs.overlay.merge.view"}) & modules


def test_where_no_engine_has_a_store_nothing_that_reads_one_is_loaded(tmp_path: Path) -> None:
    prepared = (
        "from netfs.container import files\n"
        "from netfs.overlay.disk.root import Root\n"
        f"assert files.engines(Root({str(tmp_path)!r})) == ()"
    )
    modules = imported("--version", before=prepared)
    assert "netfs.overlay.stores.find" in modules
    assert not (ABOUT_LAYERS | {"json", "tomllib", "sqlite3", "netfs.overlay.stores.mounted"}) & modules
