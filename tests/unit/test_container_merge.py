"""One record for each container, of everything that its engines say."""

from __future__ import annotations

from itertools import permutations

from netfs.container.join import merged
from netfs.container.users import owned
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


def of_user(*containers: Container, name: str = "docker", user: int = 1000) -> Engine:
    return owned(Engine(name, f"unix:///run/user/{user}/{name}.sock", containers=containers), user, {0})


def test_a_users_engine_says_nothing_of_what_is_the_machines() -> None:
    real = Container(ID, role="app", pod="web", namespace="shop", pod_uid="1", runtime="containerd")
    fake = Container(ID, "evil", pod="evil", namespace="kube-system", layer="evil", labels={"a": "b"})
    beside = Container(identity("other"), "evil", pod="web", namespace="shop", pod_uid="1", netns="/run/netns/cni-1")
    machine = Engine("containerd", "/var/lib/containerd", containers=(real,))
    for engines in permutations([machine, of_user(fake, beside)]):
        own, other = merged(engines)
        assert own == real
        assert other.user is not None
        assert (other.user, other.name, other.pod_uid, other.netns) == (1000, "evil", "", "")


def test_a_users_own_engines_complete_each_other_and_nobody_elses() -> None:
    asked, below = Container(ID, "web"), Container(ID, layer="l")
    engines = [of_user(asked), of_user(below, name="containerd"), of_user(Container(ID, image="i"), user=1001)]
    assert [(one.name, one.layer, one.image) for one in merged(engines)] == [("", "", "i"), ("web", "l", "")]


def test_who_speaks_for_the_machine_is_no_user() -> None:
    engine = Engine("docker", FILES, containers=(Container(ID),))
    assert owned(engine, 1000, {0, 1000}) is engine
    assert owned(engine, 1000, {0}).user == 1000
