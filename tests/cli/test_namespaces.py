"""``netfs namespaces``: how its table and its tree read, what it asks, the status it ends with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.collect.namespaces.read import UNLISTED
from netfs.container.namespaces import findings
from netfs.errors import EndpointError
from netfs.model.gaps import Gap
from netfs.model.namespaces import Namespace, Namespaces, OpenFile, Pin
from netfs_cli.render.ink import Ink
from netfs_cli.render.namespaces import render
from tests.cli.answers import ESCAPE
from tests.cli.conftest import Result

Run = Callable[..., Result]
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "netfs.namespaces.v1.json"
UUID = "1b2c3d4e-0000-1111-2222-333344445555"


def space(type: str, id: int, *pids: int, **fields: Any) -> Namespace:
    known: dict[str, Any] = {"owner": 1, "device": "0:4", "node": "node1"}
    if pids:
        known |= {"leader": pids[0], "command": "app", "uid": 0, "kept_by": ("processes",)}
    return Namespace(type, id, pids=pids, **(known | fields))


OWN = [
    space("mnt", 3, 1, 2, initial=True, command="init"),
    space("net", 2, 1, 2, 30, initial=True, command="init", containers=("hostly",)),
    space("pid", 4, 1, 2, 10, 11, 20, initial=True, command="init", kept_by=("processes", "child")),
    space("user", 1, 1, 2, 10, 11, initial=True, command="init", owner=None, owner_uid=0, containers=("hostly",)),
]
POD: dict[str, Any] = {
    "containers": ("default/pod-a/app", "default/pod-a/log", "default/pod-a/sandbox"),
    "pods": ("default/pod-a",),
}
APP: dict[str, Any] = {"containers": ("default/pod-a/app",), "pods": ("default/pod-a",)}
ALL = Namespaces(
    (
        space("ipc", 50, 10, 60, shared=True, containers=("default/pod-a/app", "default/pod-b/app"),
              pods=("default/pod-a", "default/pod-b")),
        space("ipc", 51, kept_by=("child",)),
        OWN[0],
        space("mnt", 31, 11, **APP),
        space("mnt", 32, kept_by=("file",), open_files=(OpenFile(4, 5), OpenFile(4, 6), OpenFile(9, 3))),
        space("mnt", 33, kept_by=("mount",)),
        OWN[1],
        space("net", 21, 10, 11, 12, shared=True, nsid=0, pins=(Pin(f"/run/netns/cni-{UUID}", 3, 1),),
              kept_by=("processes", "pin"), engine="containerd", **POD),
        space("net", 22, kept_by=("pin",), leaked=True, pins=(Pin(f"/run/netns/cni-f{UUID[1:]}", 3, 1),)),
        space("net", 23, kept_by=("pin",), leaked=True, pins=(Pin("/run/netns/blue", 31, 11),)),
        space("net", 24, kept_by=("pin",), pods=("default/pod-c",), engine="containerd",
              pins=(Pin("/run/netns/c", 3, 1), Pin("/run/netns/c", 31, 11))),
        space("net", 25, kept_by=("threads",), threads=(70, 71, 72, 73)),
        OWN[2],
        space("pid", 41, 11, parent=4, **APP),
        space("pid", 42, kept_by=("children",), children_of=(20,), parent=41),
        space("pid", 43, 80, parent=4, owner=12),
        OWN[3],
        space("user", 11, owner=1, parent=1, owner_uid=4242, kept_by=("child",)),
        space("user", 12, 80, owner=11, parent=11, owner_uid=4242, kept_by=("processes", "owned"), uid=4242),
        space("uts", 61, 81, owner=99),
    )
)  # fmt: skip
ALL = replace(ALL, findings=findings(ALL.namespaces), notes=("a note",), gaps=(Gap("/proc", "pins", "refused"),))
TWO = Namespaces((*OWN, *(replace(each, node="node2") for each in (*OWN, space("net", 26, 90, containers=("web",))))))
HOSTILE = Namespaces(
    tuple(
        space(
            *(type, id, *pids), node=ESCAPE, command=ESCAPE, containers=(ESCAPE,), pods=(ESCAPE,), engine=ESCAPE,
            pins=(Pin(f"/run/netns/{ESCAPE}\udcff", 3),), leaked=not pids, kept_by=("pin",), initial=id == 1,
        )
        for type, id, pids in (("net", 5, ()), ("net", 6, (7,)), ("user", 1, (8,)))
    )
)  # fmt: skip
HOSTILE = replace(HOSTILE, findings=findings(HOSTILE.namespaces), notes=(ESCAPE,), gaps=(Gap(ESCAPE, ESCAPE, ESCAPE),))


@dataclass
class FakeContainers:
    """What ``netfs.containers`` answers; it remembers what it was asked."""

    answer: Namespaces | Exception = ALL
    opened: tuple[Any, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *uris: str, timeout: float | None = None) -> Self:
        self.opened = (uris, timeout)
        return self

    def namespaces(self, target: str = "", **asked: Any) -> Namespaces:
        self.asked = {"target": target, **asked}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> FakeContainers:
    fake = FakeContainers()
    monkeypatch.setitem(vars(netfs), "containers", fake)
    return fake


@pytest.mark.parametrize("options", [(), ("-o", "wide"), ("--tree",)], ids=["text", "wide", "tree"])
@pytest.mark.parametrize("name", ["all", "two", "own", "none"])
def test_text_reads_as_agreed(
    run: Run, containers: FakeContainers, name: str, options: tuple[str, ...], snapshot: SnapshotAssertion
) -> None:
    containers.answer = {"all": ALL, "two": TWO, "own": Namespaces(tuple(OWN)), "none": Namespaces(())}[name]
    result = run("namespaces", *options)
    assert result.err == ""
    assert result.out == snapshot


@pytest.mark.parametrize("options", [(), ("--tree",), ("-o", "wide"), ("-o", "json"), ("-o", "yaml")])
def test_no_name_speaks_to_the_terminal(run: Run, containers: FakeContainers, options: tuple[str, ...]) -> None:
    containers.answer = HOSTILE
    result = run("namespaces", *options)
    assert result.err == ""
    assert not re.search(r"[^\x20-\x7e\n•!?]", result.out)
    assert "\nnetfs: all is well" not in result.out
    assert "netfs: all is well" in result.out


def test_every_namespace_is_in_the_tree_once(run: Run, containers: FakeContainers) -> None:
    shown = re.findall(r"^ *([a-z]+) +([0-9]+)  ", run("namespaces", "--tree").out, re.MULTILINE)
    assert sorted(shown) == sorted((each.type, str(each.id)) for each in ALL.namespaces)


def test_json_and_yaml_are_the_record(run: Run, containers: FakeContainers) -> None:
    shown = json.loads(run("namespaces", "-o", "json").out)
    assert shown["schema"] == "netfs.namespaces/v1"
    assert [each["id"] for each in shown["namespaces"]] == [each.id for each in ALL.namespaces]
    assert yaml.safe_load(run("namespaces", "-o", "yaml").out) == shown


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (replace(ALL, gaps=()), 0),
        (ALL, 3),
        (replace(ALL, gaps=(Gap("/proc", UNLISTED, "this kernel does not list them"),)), 0),
        (EndpointError("no pod is called web"), 2),
    ],
)
def test_the_status_says_whether_all_was_read(
    run: Run, containers: FakeContainers, answer: Namespaces | Exception, status: int
) -> None:
    containers.answer = answer
    assert run("namespaces", "web").status == status


def test_what_was_asked_arrives(run: Run, containers: FakeContainers) -> None:
    line = ["web", "-t", "net", "--type", "mnt", "--files", "-c", "app", "-n", "kube-system"]
    run("namespaces", *line, "--source", "local", "--timeout", "3")
    assert containers.opened == (("local",), 3.0)
    assert containers.asked == {
        "target": "web",
        "types": ("net", "mnt"),
        "open_files": True,
        "namespace": "kube-system",
        "container": "app",
    }


def test_a_type_there_is_not_is_usage(run: Run, containers: FakeContainers) -> None:
    result = run("namespaces", "-t", "network")
    assert (result.status, containers.asked) == (2, {})


@pytest.mark.parametrize("answer", [ALL, TWO, HOSTILE, Namespaces(())], ids=["all", "two", "hostile", "none"])
def test_json_is_what_its_schema_says(run: Run, containers: FakeContainers, answer: Namespaces) -> None:
    containers.answer = answer
    shown = json.loads(run("namespaces", "-o", "json").out)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(shown)


@pytest.mark.parametrize("columns", [100, 140])
def test_the_table_fits_the_terminal_and_the_nodes_own_stay_in_one_piece(columns: int) -> None:
    long = space(
        "net", 4026531999, 5, containers=("default/" + "p" * 60 + "/app",), pins=(Pin(f"/run/netns/cni-{UUID}", 3),)
    )
    own = [replace(each, id=4026531000 + each.id, node="node1") for each in OWN]
    answer = Namespaces((*own, long))
    lines = render(answer, Ink(colour=False), width=40, wide=False, tree=False, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert [line.strip() for line in lines[:4]] == [
        "node1's own: mnt 4026531003,", "net 4026531002 (1 container in it),", "pid 4026531004, user 4026531001", "",
    ]  # fmt: skip
    whole = render(answer, Ink(colour=False), width=None, wide=False, tree=False)
    assert f"/run/netns/cni-{UUID}" in whole


def test_containers_in_a_nodes_own_namespaces_are_named_by_node_where_these_are_not_listed() -> None:
    text = render(TWO, Ink(colour=False), width=None, wide=False, tree=False)
    assert text.splitlines()[0].endswith("containers are in node1's net, node2's net")
