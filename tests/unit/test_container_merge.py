"""One record for each container, of everything that its engines say."""

from __future__ import annotations

from itertools import permutations

from netfs.container.join import merged
from netfs.model.containers import Container, Engine, Limits
from tests.unit.joining import identity

ID = identity("web")
ASKED, FILES = "unix:///run/docker.sock", "/var/lib/docker"


def test_what_an_answer_says_wins_and_files_fill_the_rest() -> None:
    asked = Container(ID, "web", state="running", pid=7)
    written = Container(ID, "was", state="running", pid=7, limits=Limits(memory=1), labels={"a": "b"}, netns="/n")
    engines = [Engine("docker", FILES, containers=(written,)), Engine("docker", ASKED, containers=(asked,))]
    (one,) = merged(engines)
    assert (one.name, one.limits, one.labels, one.netns) == ("web", Limits(memory=1), {"a": "b"}, "/n")


def test_a_process_of_another_state_is_not_taken_over() -> None:
    asked = Container(ID, "web", state="exited")
    behind = Container(ID, "web", state="running", pid=7, started_at="2026-01-01T00:00:00Z", netns="/n", image="i")
    (one,) = merged([Engine("docker", ASKED, containers=(asked,)), Engine("docker", FILES, containers=(behind,))])
    assert (one.state, one.pid, one.started_at, one.netns, one.image) == ("exited", None, "", "", "i")


def test_docker_knows_more_than_the_containerd_that_runs_it() -> None:
    docker = Container(ID, "web", runtime="docker", state="running", pid=7)
    below = Container(ID, runtime="containerd", state="running", cgroup=f"/docker/{ID}", command=("sleep",))
    engines = [
        Engine("containerd", "/var/lib/containerd", containers=(below,)),
        Engine("docker", FILES, containers=(docker,)),
    ]
    (one,) = merged(engines)
    assert (one.runtime, one.name, one.cgroup, one.command) == ("docker", "web", f"/docker/{ID}", ("sleep",))


def test_ids_that_people_chose_are_not_one_container_in_two_namespaces() -> None:
    two = (Container("c1", cgroup="/default/c1"), Container("c1", cgroup="/k8s.io/c1"))
    cri = Container("c1", "asked", cgroup="/k8s.io/c1")
    engines = [
        Engine("containerd", "/var/lib/containerd", containers=two),
        Engine("cri", "unix:///run/containerd/containerd.sock", containers=(cri,)),
    ]
    assert [(one.name, one.cgroup) for one in merged(engines)] == [("asked", "/k8s.io/c1"), ("", "/default/c1")]


def test_the_order_of_engines_changes_nothing() -> None:
    engines = [
        Engine("docker", FILES, containers=(Container(ID, "old", image="a"), Container(identity("db"), "db"))),
        Engine("docker", ASKED, containers=(Container(ID, "web"),)),
        Engine("containerd", "/var/lib/containerd", containers=(Container(ID, "none", image="b"), Container("c1"))),
    ]
    first = merged(engines)
    assert [(one.called, one.image) for one in first] == [("c1", ""), ("db", ""), ("web", "a")]
    assert all(merged(others) == first for others in permutations(engines))
