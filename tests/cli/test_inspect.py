"""``netfs inspect``: how its page reads, that it fits a screen, what it asks, the status it ends with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.collect.facts.capabilities import NAMES
from netfs.errors import EndpointError
from netfs.model.cgroups import Cgroup, Cpu, Memory, Pids
from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.model.inspected import Inspected, InspectedContainer, Interface, SharedNamespace
from netfs.model.layer_answers import ChainRef
from netfs.model.process_facts import IdMap, MountPoint, Privileges, ProcessFacts, ProcessUse, Resolver
from netfs_cli.render.ink import Ink
from netfs_cli.render.inspect import page
from netfs_cli.render.inspect.privileges import FEW, MANY, PODMAN, capabilities
from tests.cli import inspect_answers as answers
from tests.cli.conftest import Result

Run = Callable[..., Result]
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "netfs.inspect.v1.json"
TOLD = {
    "pod": answers.POD,
    "host-network": answers.HOST_NETWORK,
    "plain": answers.PLAIN,
    "stopped": answers.STOPPED,
    "process": answers.NOBODYS,
    "blind": answers.BLIND,
    "hostile": answers.WORST,
}


@dataclass
class FakeContainers:
    """What ``netfs.containers`` answers; it remembers what it was asked."""

    answer: Inspected | Exception = answers.POD
    opened: list[tuple[tuple[str, ...], float | None]] = field(default_factory=list)
    asked: tuple[Any, ...] = ()

    def __call__(self, *uris: str, timeout: float | None = None) -> FakeContainers:
        self.opened.append((uris, timeout))
        return self

    def inspect(self, target: str, *, namespace: str = "", container: str = "") -> Inspected:
        self.asked = (target, namespace, container)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> FakeContainers:
    fake = FakeContainers()
    monkeypatch.setitem(vars(netfs), "containers", fake)
    return fake


@pytest.mark.parametrize("form", ["text", "wide"])
@pytest.mark.parametrize("name", TOLD)
def test_text_reads_as_agreed(
    run: Run, containers: FakeContainers, name: str, form: str, snapshot: SnapshotAssertion
) -> None:
    containers.answer = TOLD[name]
    result = run("inspect", "x", "-o", form)
    assert result.err == ""
    assert result.out == snapshot


@pytest.mark.parametrize("name", [name for name in TOLD if name != "hostile"])
def test_a_page_fits_a_screen(run: Run, containers: FakeContainers, name: str) -> None:
    containers.answer = TOLD[name]
    drawn = run("inspect", "x").out.splitlines()
    assert len(drawn) <= 45
    assert max(map(len, drawn)) <= 100


@pytest.mark.parametrize("width", [72, 80, 110])
def test_a_page_fits_the_terminals_columns(width: int) -> None:
    for told in (answers.POD, answers.PLAIN, answers.BLIND):
        drawn = page.render(replace(told, findings=()), Ink(), width=width, wide=False).splitlines()
        assert max(map(len, drawn)) <= width


def test_json_is_the_whole_record(run: Run, containers: FakeContainers) -> None:
    for told in (answers.POD, answers.HOST_NETWORK, answers.PLAIN, answers.STOPPED):
        containers.answer = told
        shown = run("inspect", "x", "-o", "json").out
        assert msgspec.json.decode(shown, type=Inspected) == told
        assert json.loads(shown)["schema"] == "netfs.inspect/v1"


def test_yaml_is_the_same_document(run: Run, containers: FakeContainers) -> None:
    shown = yaml.safe_load(run("inspect", "x", "-o", "yaml").out)
    assert json.loads(json.dumps(shown)) == json.loads(run("inspect", "x", "-o", "json").out)


@pytest.mark.parametrize("form", ["text", "wide", "json", "yaml"])
def test_no_name_speaks_to_the_terminal(run: Run, containers: FakeContainers, form: str) -> None:
    containers.answer = answers.WORST
    result = run("inspect", "x", "-o", form)
    assert (result.status, result.err) == (3, "")
    assert not re.search(r"[^\x20-\x7e\n└├─│•✗✓…→µ]", result.out)
    assert "\nnetfs: all is well" not in result.out
    assert "netfs: all is well" in result.out


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answers.POD, 0),
        (answers.STOPPED, 0),
        (answers.BLIND, 3),
        (replace(answers.POD, findings=(answers.FINDING, answers.ERROR)), 1),
        (replace(answers.POD, findings=(answers.ERROR,), gaps=(Gap("x", "y", "z"),)), 1),
        (EndpointError("no pod is called x", hint="look"), 2),
    ],
)
def test_exit_status(run: Run, containers: FakeContainers, answer: Any, status: int) -> None:
    containers.answer = answer
    result = run("inspect", "x")
    assert result.status == status
    if isinstance(answer, Exception):
        assert (result.out, result.err) == ("", f"netfs: {answer}\n")


@pytest.mark.parametrize(
    ("words", "asked", "opened"),
    [
        ("pod-a", ("pod-a", "", ""), ((), None)),
        ("db-0 -n shop -c postgres", ("db-0", "shop", "postgres"), ((), None)),
        ("x --source lab:two --source local --timeout 3s", ("x", "", ""), (("lab:two", "local"), 3.0)),
    ],
)
def test_what_is_asked(
    run: Run, containers: FakeContainers, words: str, asked: tuple[Any, ...], opened: tuple[Any, ...]
) -> None:
    assert run("inspect", *words.split()).status == 0
    assert (containers.asked, containers.opened) == (asked, [opened])


def test_a_target_is_needed(run: Run, containers: FakeContainers) -> None:
    assert run("inspect").status == 2
    assert containers.opened == []


def test_a_file_gets_the_form_of_its_suffix(run: Run, containers: FakeContainers, tmp_path: Path) -> None:
    assert run("inspect", "x", "-w", str(tmp_path / "a.json")) == Result(0, "", "")
    assert json.loads((tmp_path / "a.json").read_text())["name"] == "default/pod-a"
    assert run("inspect", "x", "--color", "always", "-w", str(tmp_path / "a.txt")) == Result(0, "", "")
    assert (tmp_path / "a.txt").read_text() == run("inspect", "x").out


def test_colour_is_an_addition(run: Run, containers: FakeContainers) -> None:
    for told in TOLD.values():
        containers.answer = told
        plain, coloured = run("inspect", "x").out, run("inspect", "x", "--color", "always").out
        assert plain != coloured
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def drawn(told: Inspected, *, wide: bool = False, unicode: bool = True) -> str:
    return page.render(told, Ink(unicode=unicode), width=None, wide=wide)


def test_a_terminal_of_ascii_alone_gets_ascii() -> None:
    for told in (answers.POD, replace(answers.PLAIN, findings=(answers.ERROR,))):
        assert set(drawn(told, unicode=False).replace("…", "")) <= {chr(code) for code in range(32, 127)} | {"\n"}


def forest(*depths: int) -> list[str]:
    """The last column of processes of these depths."""
    found = tuple(ProcessUse(number, number, 0, depth, f"p{number}") for number, depth in enumerate(depths))
    told = replace(answers.PLAIN, containers=(InspectedContainer(Container("c", "c"), "", 1, processes=found),))
    return [line.split("   ", 5)[-1] for line in drawn(told, wide=True).splitlines() if "[p" in line]


def test_processes_are_drawn_as_a_tree() -> None:
    assert [line[line.index("p") - 1 :] for line in forest(0)] == ["[p0]"]
    shown = [re.split(r"1 +<none> {4}", line)[-1] for line in forest(0, 1, 2, 1, 2, 3, 0, 1)]
    assert shown == [
        "[p0]",
        "├─ [p1]",
        "│  └─ [p2]",
        "└─ [p3]",
        "   └─ [p4]",
        "      └─ [p5]",
        "[p6]",
        "└─ [p7]",
    ]


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_not_known_is_no_trouble(wide: bool) -> None:
    empty = InspectedContainer(
        Container(""),
        processes=(ProcessUse(1, None, 0, 0, ""), ProcessUse(2, None, 1, 5, "")),
        namespaces=(SharedNamespace("net", None, False), SharedNamespace("pid", 1, False)),
        cgroup=Cgroup("", cpu=Cpu(), memory=Memory(), processes=Pids()),
        chain=ChainRef("container", "", "", "", ""),
        root=MountPoint(0, 0, "", "", "", "", "", ""),
        facts=ProcessFacts(1, mounts=(MountPoint(0, 0, "", "", "", "", "", ""),), resolver=Resolver()),
    )
    told = Inspected("", "", "", containers=(empty, InspectedContainer(Container(""))), interfaces=(Interface("", ""),))
    assert "None" not in drawn(told, wide=wide)
    limited = replace(answers.GROUP, memory=Memory())
    assert "memory  32.0 MiB, the pod's limit at most" in drawn(
        replace(answers.POD, containers=(replace(answers.POD_APP, cgroup=limited),))
    )


def test_wide_leaves_nothing_out() -> None:
    text = drawn(answers.POD, wide=True)
    for part in (*(mount.path for mount in answers.FACTS.mounts), *answers.ROUTES):
        assert part in text
    for word in (answers.APP, answers.PAUSE, "4026531845", "fe80::858:aff:fef4:102/64", "CAP_SYS_CHROOT", "localhost"):
        assert word in text
    assert "more (-o wide)" not in text


def privileges(*names: str, bounding: tuple[str, ...] = (), **fields: Any) -> Privileges:
    return Privileges(capabilities={"effective": names, "bounding": bounding}, **fields)


DEFAULT = tuple(sorted(MANY))
STRONG = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_SYS_TIME", "CAP_SYSLOG")


@pytest.mark.parametrize(
    ("held", "runtime", "words"),
    [
        (privileges(*DEFAULT), "docker", "default set"),
        (privileges(*DEFAULT), "", "default set"),
        (privileges(*DEFAULT, "CAP_NET_ADMIN"), "docker", "default set plus CAP_NET_ADMIN"),
        (privileges(*DEFAULT), "podman", "default set"),
        (privileges(*PODMAN, "CAP_SYSLOG"), "podman", "default set plus CAP_SYSLOG"),
        (privileges(*PODMAN), "docker", "default set without CAP_AUDIT_WRITE, CAP_MKNOD, CAP_NET_RAW"),
        (privileges(*FEW), "cri-o", "default set"),
        (
            privileges(*DEFAULT[1:], "CAP_BPF"),
            "containerd",
            "default set plus CAP_BPF without CAP_AUDIT_WRITE",
        ),
        (privileges("CAP_NET_BIND_SERVICE"), "docker", "CAP_NET_BIND_SERVICE"),
        (privileges(), "docker", "none"),
        (privileges(bounding=DEFAULT), "docker", "none; a set-user-ID program may get default set"),
        (privileges(*DEFAULT, all_capabilities=True), "docker", "all"),
        (privileges(*NAMES[1:]), "docker", "all but CAP_CHOWN"),
        (privileges(*NAMES), "docker", "all"),
        (privileges(*DEFAULT, *STRONG), "docker", "19, among them CAP_SYS_ADMIN, CAP_SYS_PTRACE"),
    ],
)
def test_capabilities_are_told_by_what_differs(held: Privileges, runtime: str, words: str) -> None:
    assert capabilities(held, runtime) == words


def with_facts(**fields: Any) -> str:
    (each, *_) = answers.POD.containers
    changed = replace(each, facts=replace(answers.FACTS, privileges=replace(answers.privileges(), **fields)))
    return drawn(replace(answers.POD, containers=(changed,)))


def test_users_of_a_user_namespace_are_translated() -> None:
    assert "uids 0-65535 are 100000-165535 outside" in with_facts(uid_map=(IdMap(0, 100_000, 65_536),))
    many = (IdMap(0, 1000, 1), IdMap(1, 100_000, 65_536))
    assert "uids 0 is 1000 outside and 1 more ranges" in with_facts(uid_map=many)


def test_findings_stand_last_with_what_to_do() -> None:
    text = drawn(replace(answers.POD, findings=(answers.ERROR, answers.FINDING)))
    assert text.index("findings  1 error, 1 warning") > text.index("Listening:")
    assert "kubectl set resources" in text


def test_a_loopback_that_is_down_is_told() -> None:
    told = replace(answers.POD, interfaces=(replace(answers.LO, up=False), answers.ETH0))
    assert re.search(r"Interfaces: lo +down", drawn(told))
    assert " lo " not in drawn(answers.POD)


def test_labels_that_engines_write_for_themselves_are_left_out() -> None:
    told = replace(answers.POD, labels={"io.kubernetes.pod.name": "x", "app": "web"})
    assert "Labels:     app=web\n" in drawn(told)
    assert "Labels" not in drawn(replace(told, labels={"io.kubernetes.pod.name": "x"}))


def test_a_node_has_its_devices_listed() -> None:
    told = replace(answers.HOST_NETWORK, kind="node", interfaces=answers.POD.interfaces)
    assert "eth0  veth  10.244.1.2/24" in drawn(told)


def test_one_without_a_network_has_loopback_alone() -> None:
    text = drawn(replace(answers.POD, interfaces=(answers.LO,), routes=()))
    assert "Interfaces: loopback alone\n" in text
    assert "no default route" not in text


def test_one_container_of_a_pod_shares_with_its_pod() -> None:
    told = replace(answers.POD, kind="container", name="default/pod-a/app", containers=(answers.POD_APP,))
    assert "the pod's: ipc, net, uts" in drawn(told)
    elsewhere = replace(answers.POD_APP, namespaces=answers.spaces(net="default/pod-ab/app default/pod-a/x"))
    assert "with default/pod-ab/app: net" in drawn(replace(told, containers=(elsewhere,)))


def test_names_that_two_containers_ask_differently_are_told_of_both() -> None:
    app = answers.POD_APP
    other = replace(
        app,
        container=replace(app.container, role="side"),
        facts=replace(answers.FACTS, resolver=Resolver(("9.9.9.9",), ("local",))),
    )
    text = drawn(replace(answers.POD, containers=(app, other)))
    assert "app: 10.96.0.10; search" in text
    assert "side: 9.9.9.9; search" in text


def test_many_of_a_kind_are_folded() -> None:
    told = replace(
        answers.POD,
        routes=tuple(f"10.{n}.0.0/16 dev eth0" for n in range(50)),
        sockets=tuple(replace(answers.POD.sockets[0], port=n) for n in range(50)),
        interfaces=tuple(replace(answers.ETH0, name=f"net{n}") for n in range(50)),
    )
    assert len(drawn(told).splitlines()) <= 70
    assert "and 45 more (-o wide)" in drawn(told)
    assert len(drawn(told, wide=True).splitlines()) > 200


@pytest.mark.parametrize("name", TOLD)
def test_json_is_what_its_schema_says(run: Run, containers: FakeContainers, name: str) -> None:
    containers.answer = TOLD[name]
    shown = json.loads(run("inspect", "x", "-o", "json").out)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(shown)


def test_a_control_group_that_others_are_in_is_called_so() -> None:
    """A rootless container that got no group of its own stays in its user's session's."""
    (app,) = answers.PLAIN.containers
    own = tuple(process.pid for process in app.processes)
    shared = Cgroup("/user.slice/session-1.scope", ("memory",), pids=(*own, 9001, 9002), memory=Memory(current=5))
    text = page.render(
        replace(answers.PLAIN, containers=(replace(app, cgroup=shared),)), Ink(colour=False), width=100, wide=False
    )
    assert "not its own: the numbers are of 2 other processes too" in text
    alone = replace(app, cgroup=replace(shared, pids=own))
    calm = page.render(replace(answers.PLAIN, containers=(alone,)), Ink(colour=False), width=100, wide=False)
    assert "not its own" not in calm


def test_layers_that_are_not_what_its_processes_see_are_told_as_that() -> None:
    (app, *_) = answers.POD.containers
    assert app.chain is not None
    elsewhere = replace(app, root=MountPoint(1, 0, "8:1", "/", "/", "rw", "ext4", "/dev/sda1"))
    for each, told in ((elsewhere, True), (app, False)):
        text = page.render(replace(answers.POD, containers=(each,)), Ink(colour=False), width=100, wide=False)
        assert ("but its processes' root is ext4, /dev/sda1" in text) == told
