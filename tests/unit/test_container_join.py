"""Which process belongs to which container: every rule on its own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from netfs.container.join import placed
from netfs.container.users import owned
from netfs.model.containers import SANDBOX, Container, Engine
from netfs.model.processes import Process
from tests.unit.joining import CLOCK, INIT, KTHREADD, NODE, at, container, docker, identity, join, process

boxed = partial(process, mnt=40)
"""A process with mounts of its own, as every runtime gives to a container."""
UID = "0a1b2c3d-1111-2222-3333-444455556666"


class TestByControlGroup:
    def test_the_group_that_names_the_id_ties_a_process(self) -> None:
        found = join([container("web", pid=10)], process(11, 10, group=docker("web")), process(10, group=docker("web")))
        web = found["web"]
        assert (web.by, web.init, web.pids, web.cgroup) == ("cgroup", 10, (10, 11), docker("web"))
        assert not web.uncertain

    @pytest.mark.parametrize("path", ["/docker/{}/inside/it", "/system.slice/docker-{}.scope", "/any/where/docker/{}"])
    def test_whatever_the_driver_and_also_in_groups_inside(self, path: str) -> None:
        found = join([container("web")], process(10, group=path.format(identity("web"))))
        assert found["web"].pids == (10,)
        assert found["web"].cgroup == path.format(identity("web"))

    def test_an_engine_may_know_only_the_beginning_of_an_id(self) -> None:
        short = container("web", id=identity("web")[:12])
        assert join([short], process(10, group=docker("web")))["web"].pids == (10,)
        shorter = container("web", id=identity("web")[:11])
        assert join([shorter], process(10, group=docker("web")))["web"].pids == ()

    def test_a_group_that_only_an_engine_can_name(self) -> None:
        odd = Container("c1", "odd", runtime="containerd", cgroup="/mine/c1")
        found = join([odd], process(10, group="/mine/c1"), process(11, group="/mine/c1/in"), process(12, group="/mine"))
        assert found["odd"].pids == (10, 11)

    def test_a_group_without_the_id_is_not_believed(self) -> None:
        assert join([container("web", cgroup="/")], process(10))["web"].pids == ()

    def test_two_containers_of_one_id_are_told_apart_by_their_groups(self) -> None:
        one, two = (Container("c1", name, cgroup=f"/{name}/c1") for name in ("default", "other"))
        found = join([one, two], process(10, group="/default/c1"), process(11, group="/other/c1"))
        assert (found["default"].pids, found["other"].pids) == ((10,), (11,))

    def test_two_containers_of_one_id_that_nothing_tells_apart_have_nothing(self) -> None:
        one, two = (container("web", name=name, pid=10, started_at=at(10)) for name in ("one", "two"))
        found = join([one, two], process(10, group=docker("web")))
        assert not found["one"].pids
        assert not found["two"].pids
        assert "same id" in found["one"].uncertain
        assert "same id" in found["two"].uncertain

    def test_any_controller_may_name_it(self) -> None:
        one = Process(10, 0, 1, cgroups={"name=systemd": "/", "pids": docker("web"), "": "/"}, pids=(10,))
        web = join([container("web")], one)["web"]
        assert (web.pids, web.cgroup) == ((10,), docker("web"))

    def test_controllers_that_contradict_each_other_tie_to_none(self) -> None:
        torn = Process(10, 0, 1, cgroups={"memory": docker("web"), "pids": docker("db")}, pids=(10,))
        found = join([container("web", pid=10), container("db")], torn, process(11, group=docker("db")))
        assert (found["web"].pids, found["db"].pids) == ((), (11,))
        assert "several containers" in found["web"].uncertain
        assert "several containers" in found["db"].uncertain

    def test_the_first_process_is_the_one_that_leads_a_pid_namespace(self) -> None:
        group = docker("web")
        executed = process(9, group=group, second=20, inner=(7,), pid=20)
        web = join([container("web")], executed, process(10, group=group, inner=(1,), pid=20))["web"]
        assert web.pids == (10, 9)

    def test_the_first_process_of_the_nodes_own_pid_namespace_is_the_earliest(self) -> None:
        group = docker("web")
        processes = (process(9, group=group, second=20), process(10, group=group), process(8, 10, group=group))
        assert join([container("web")], *processes)["web"].pids == (10, 8, 9)

    def test_files_that_say_it_is_over_are_behind(self) -> None:
        web = join([container("web", state="exited")], process(10, group=docker("web")))["web"]
        assert web.pids == (10,)
        assert "'exited'" in web.uncertain

    def test_an_engine_that_names_another_process_is_behind(self) -> None:
        web = join([container("web", pid=12)], process(10, group=docker("web")), process(12))["web"]
        assert (web.init, web.by) == (10, "cgroup")
        assert "names process 12" in web.uncertain

    def test_conmon_is_none_of_the_container_it_watches(self) -> None:
        conmon = process(10, group=f"/machine.slice/libpod-conmon-{identity('web')}.scope")
        assert not join([container("web")], conmon)["web"].pids

    def test_a_group_of_podmans_pod_below_a_parent_of_its_own_is_no_container(self) -> None:
        pod = f"/mine/{identity('pod')}"
        conmon, first = process(10, group=f"{pod}/conmon"), process(11, group=f"{pod}/libpod-{identity('web')}")
        for known in ([container("web")], []):
            (web,) = join(known, conmon, first).values()
            assert (web.container.id, web.pids) == (identity("web"), (11,))
        member = container("web", pod="p", pod_uid=identity("pod"), role="app")
        inside = join([member], first, process(12, group=pod, inner=(1,), pid=20))
        assert list(inside) == ["p/app"]

    def test_the_kernels_threads_are_nobodys(self) -> None:
        vhost = process(10, KTHREADD.pid, comm="vhost-99", group=docker("web"))
        assert not join([container("web", pid=10, started_at=at(10))], vhost)["web"].pids

    def test_a_pods_sandbox_has_its_own_process_only(self) -> None:
        pod = f"/kubepods/burstable/pod{UID}"
        pause = container("pause", pod="a", role=SANDBOX, pod_uid=UID)
        app = container("app", pod="a", role="app", pod_uid=UID)
        found = join(
            [pause, app],
            process(10, group=f"{pod}/{identity('pause')}", inner=(1,), pid=20),
            process(11, group=f"{pod}/{identity('app')}", inner=(7,), pid=20),
        )
        assert (found["a/sandbox"].pids, found["a/app"].pids) == ((10,), (11,))


class TestNodesInContainers:
    INNER = f"/docker/{identity('node')}/kubelet/kubepods/pod{UID}/{identity('app')}"

    def test_the_node_has_all_and_the_inner_one_its_own(self) -> None:
        found = join(
            [container("node")],
            process(10, group=docker("node"), inner=(1,), pid=20),
            process(11, 10, group=self.INNER, inner=(9, 1), pid=21),
        )
        assert found["node"].pids == (10, 11)
        inner = found[f"{UID}/{identity('app')[:12]}"]
        assert (inner.pids, inner.container.pod_uid, inner.cgroup) == ((11,), UID, self.INNER)

    def test_on_the_node_itself_it_is_no_container(self) -> None:
        kubelet = process(10, group=docker("node"), inner=(1,), pid=20, mnt=21, net=23)
        app = process(11, 10, group=self.INNER, inner=(9, 1), pid=30, mnt=31)
        tool = process(12, 10, group=f"{docker('node')}/kubelet.service", inner=(12,), pid=20, mnt=21, net=23)
        found = join([container("app", pid=9, runtime="containerd")], kubelet, app, tool, pid_namespace=20)
        assert list(found) == ["app"]
        assert (found["app"].init, found["app"].uncertain) == (11, "")

    def test_numbers_are_those_of_the_engines_pid_namespace(self) -> None:
        first = process(10, inner=(1,), pid=20, mnt=21)
        inner = process(11, 10, inner=(9, 1), pid=30, mnt=31)
        elsewhere = process(13, 1, inner=(9,), pid=40)
        node = [container("app", pid=9, started_at=at(10))]
        found = join(node, first, inner, elsewhere, pid_namespace=20)
        assert (found["app"].init, found["app"].by) == (11, "pid")

    def test_a_node_without_a_group_has_all_that_it_started(self) -> None:
        node = container("node", pid=10, started_at=at(10))
        first, shim = process(10, inner=(1,), pid=20, mnt=21), process(11, 10, comm="shim", inner=(2,), pid=20, mnt=21)
        group = f"/kubepods/pod{UID}/{identity('app')}"
        app = process(12, 11, group=group, inner=(3, 1), pid=30, mnt=31)
        on_node = process(13, 11, group=f"/docker/{identity('agent')}", inner=(4,), pid=20, mnt=32)
        beside = process(14, 1, group=docker("beside"), inner=(5,), pid=20, mnt=33)
        found = {one.container.id: one.pids for one in join([node], first, shim, app, on_node, beside).values()}
        assert found == {
            identity("node"): (10, 11, 12, 13),
            identity("app"): (12,),
            identity("agent"): (13,),
            identity("beside"): (14,),
        }
        nameless = {one.container.id: one.pids for one in join([], first, shim, app, on_node).values()}
        assert nameless == {"pid:[20]": (10, 11, 12, 13), identity("app"): (12,), identity("agent"): (13,)}

    def test_processes_that_seem_to_have_started_each_other_end_the_search(self) -> None:
        node = container("node", pid=10, started_at=at(10))
        two = (process(11, 12, group=docker("db"), inner=(1,), pid=21), process(12, 11, comm="shim"))
        assert join([node], process(10, inner=(1,), pid=20, mnt=21), *two)["node"].pids == (10,)


class TestByNumber:
    def test_a_process_that_was_started_with_the_container_is_its_first(self) -> None:
        web = join([container("web", pid=10, started_at=at(10.4))], boxed(10))["web"]
        assert (web.by, web.init, web.uncertain) == ("pid", 10, "")

    def test_where_only_its_making_is_known_that_counts(self) -> None:
        assert join([container("web", pid=10, created_at=at(9))], boxed(10))["web"].pids == (10,)
        assert not join([container("web", pid=10, created_at=at(-90))], boxed(10))["web"].pids

    @pytest.mark.parametrize(("second", "tied"), [(9, True), (-40, True), (-51, False), (12, True), (16, False)])
    def test_it_may_be_started_earlier_than_the_engine_noted_but_hardly_later(self, second: float, tied: bool) -> None:
        found = join([container("web", pid=10, started_at=at(10))], boxed(10, second=second))["web"]
        assert bool(found.pids) is tied
        assert ("not known to have been started" in found.uncertain) is not tied

    def test_without_a_time_a_number_is_nothing(self) -> None:
        for text in ("", "soon", "0001-01-01", "9999-99-99T00:00:00Z"):
            assert not join([container("web", pid=10, started_at=text)], boxed(10))["web"].pids

    def test_a_number_of_a_container_that_is_over_is_nothing(self) -> None:
        web = container("web", pid=10, started_at=at(10), state="exited")
        assert not join([web], boxed(10))["web"].pids

    def test_a_process_in_another_containers_group_is_that_ones(self) -> None:
        stale = container("stale", pid=10, started_at=at(10))
        found = join([stale, container("web")], boxed(10, group=docker("web")))
        assert (found["stale"].pids, found["web"].pids) == ((), (10,))
        assert "another container's control group" in found["stale"].uncertain

    def test_two_that_name_one_process_have_neither(self) -> None:
        two = [container(name, pid=10, started_at=at(10)) for name in ("one", "two")]
        found = join(two, boxed(10))
        assert not found["one"].pids
        assert not found["two"].pids
        assert "so does another" in found["one"].uncertain
        assert "so does another" in found["two"].uncertain

    def test_what_it_started_is_its_as_well(self) -> None:
        web = container("web", pid=10, started_at=at(10))
        found = join([web], boxed(10), boxed(11, 10), boxed(12, 11, inner=(1,), pid=30), boxed(13))
        assert found["web"].pids == (10, 11, 12)

    def test_but_not_what_another_containers_group_has_nor_what_that_started(self) -> None:
        web = container("web", pid=10, started_at=at(10))
        found = join([web, container("db")], boxed(10), boxed(11, 10, group=docker("db")), boxed(12, 11))
        assert (found["web"].pids, found["db"].pids) == ((10,), (11,))

    def test_a_child_that_is_older_than_its_parent_is_not_its(self) -> None:
        web = container("web", pid=10, started_at=at(10))
        assert join([web], boxed(10), boxed(11, 10, second=9))["web"].pids == (10,)

    def test_of_two_containers_the_nearest_ancestors_counts(self) -> None:
        two = [container("outer", pid=10, started_at=at(10)), container("inner", pid=11, started_at=at(10))]
        found = join(two, boxed(10), boxed(11, 10), boxed(12, 11), boxed(13, 10))
        assert (found["outer"].pids, found["inner"].pids) == ((10, 13), (11, 12))

    def test_its_own_pid_namespace_is_its_with_all_that_was_put_there_later(self) -> None:
        web = container("web", pid=10, started_at=at(10))
        executed = boxed(11, 1, inner=(5,), pid=20, second=99)
        below = boxed(12, 11, inner=(6, 1), pid=21, second=99)
        found = join([web], boxed(10, inner=(1,), pid=20), executed, below)
        assert found["web"].pids == (10, 11, 12)

    def test_but_not_of_those_that_are_another_containers(self) -> None:
        guest = container("guest", pid=11, started_at=at(10))
        grouped = boxed(12, group=docker("db"), inner=(6,), pid=20)
        two = [container("web", pid=10, started_at=at(10)), guest, container("db")]
        found = join(two, boxed(10, inner=(1,), pid=20), boxed(11, inner=(5,), pid=20), grouped)
        assert [found[name].pids for name in ("web", "guest", "db")] == [(10,), (11,), (12,)]

    def test_a_sandbox_has_one_process_even_where_the_pod_is_in_its_pid_namespace(self) -> None:
        pause = container("pause", pid=10, started_at=at(10), role=SANDBOX, pod="a")
        app = container("app", pid=11, started_at=at(10), role="app", pod="a")
        stray = (boxed(12, inner=(8,), pid=20), boxed(13, 10, inner=(9,), pid=20))
        found = join([pause, app], boxed(10, inner=(1,), pid=20), boxed(11, inner=(7,), pid=20), *stray)
        assert (found["a/sandbox"].pids, found["a/app"].pids) == ((10,), (11,))

    def test_an_unknown_pid_namespace_makes_numbers_worthless(self) -> None:
        web = container("web", pid=10, started_at=at(10))
        assert not join([web], boxed(10), pid_namespace=None)["web"].pids

    def test_a_pid_namespace_that_nobody_is_in_is_the_readers(self) -> None:
        """A lab's records have the pids of this host, and its node's processes are all in a namespace of its own."""
        web = container("web", pid=10, started_at=at(10))
        found = join([web], boxed(10, inner=(1,), pid=20), pid_namespace=99)
        assert found["web"].pids == (10,)

    def test_that_nothing_could_be_told_of_one_that_runs_is_said(self) -> None:
        web = join([container("web", pid=77, started_at=at(10))], boxed(10))["web"]
        assert (web.pids, web.init, web.by, web.cgroup) == ((), None, "", "")
        assert "'running'" in web.uncertain

    def test_a_container_that_is_over_is_placed_nowhere_and_certain(self) -> None:
        web = join([container("web", state="exited")])["web"]
        assert (web.pids, web.uncertain) == ((), "")

    def test_a_process_with_the_nodes_mounts_is_none(self) -> None:
        """The number was given again at once, within what clocks may differ by."""
        web = join([container("web", pid=10, started_at=at(10))], process(10))["web"]
        assert (web.pids, "mounts of the node" in web.uncertain) == ((), True)


class TestUsers:
    """What an ordinary user's engine says is believed of his own processes alone."""

    USER = 1000

    def claim(self, word: str = "web", **more: object) -> Container:
        engine = owned(Engine("docker", "unix://", containers=(container(word, **more),)), self.USER, {0})
        return engine.containers[0]

    def rootless(
        self, number: int, ppid: int = 1, uid: int = USER, group: str = "/", *, pid: int = 20, user: int = 60
    ) -> Process:
        return replace(boxed(number, ppid, group=group, inner=(1,), pid=pid, user=user), uid=uid)

    def test_his_own_container_is_his(self) -> None:
        shim = replace(process(10, comm="shim"), uid=self.USER)
        lent = self.rootless(11, 10, uid=100_998, group=docker("web"))
        found = join([self.claim(pod_uid=UID)], shim, lent, self.rootless(12, 11, 100_999, docker("web"), pid=21))
        assert list(found) == ["web"]
        assert (found["web"].pids, found["web"].by, found["web"].uncertain) == ((11, 12), "cgroup", "")
        (by_number,) = join([self.claim(pid=11, started_at=at(10))], shim, replace(lent, cgroups={})).values()
        assert (by_number.pids, by_number.by) == ((11,), "pid")

    @pytest.mark.parametrize(
        ("what", "uid", "user", "parent"),
        [
            ("root's", 0, 6, 0),
            ("a pod that runs as his number", 1000, 6, 0),
            ("another user's", 1001, 60, 1001),
            ("root's, with users of its own", 200_000, 60, 0),
        ],
    )
    def test_what_is_not_his_is_not_named_by_him(self, what: str, uid: int, user: int, parent: int) -> None:
        shim = replace(process(10, comm=what), uid=parent)
        first = self.rootless(11, 10, uid, f"/kubepods/pod{UID}/{identity('web')}", user=user)
        evil = self.claim(pid=11, started_at=at(10), pod="evil", pod_uid=UID, role="evil")
        (found,) = join([evil], shim, first).values()
        assert (found.container.called, found.pids) == (f"{UID}/{identity('web')[:12]}", (11,))
        assert "user 1000" in found.uncertain
        loose = join([evil], shim, replace(first, cgroups={}))
        assert not loose["evil/evil"].pids
        assert "not a process of the user" in loose["evil/evil"].uncertain

    def test_he_does_not_name_a_group_or_a_pod_of_others(self) -> None:
        sshd = self.claim("sshd", id="sshd.service", cgroup="/system.slice/sshd.service", pod="evil", pod_uid=UID)
        real = process(10, group=f"/kubepods/pod{UID}/{identity('app')}")
        found = join([sshd], process(11, group="/system.slice/sshd.service"), real)
        assert (found["evil/sshd"].pids, found["evil/sshd"].container.pod_uid) == ((), "")
        assert found[f"{UID}/{identity('app')[:12]}"].container.pod == UID

    def test_nothing_is_his_where_the_nodes_own_user_namespace_is_not_known(self) -> None:
        first = self.rootless(11, group=docker("web"))
        hidden = Process(1, 0, pids=(1,))
        found = placed([self.claim()], [hidden, first], node="n", pid_namespace=NODE["pid"], clock=CLOCK)
        assert [(one.container.name, bool(one.uncertain)) for one in found] == [("", True)]


class TestUnknown:
    def test_containers_of_two_labs_have_the_same_ids_and_are_two(self) -> None:
        one, two = (f"/netfs-lab-{lab}/kubepods/pod{UID}/{identity('pod-a')}" for lab in ("one", "two"))
        found = placed(
            (), [INIT, process(10, group=one), process(11, group=f"{one}/in"), process(20, group=two)],
            node="node1", pid_namespace=NODE["pid"], clock=CLOCK,
        )  # fmt: skip
        assert sorted((each.cgroup, each.pids) for each in found) == [(one, (10, 11)), (two, (20,))]

    def test_a_control_group_tells_id_runtime_and_pod(self) -> None:
        path = f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{identity('app')}.scope"
        (found,) = join([], process(10, group=path)).values()
        one = found.container
        assert (one.id, one.runtime, one.pod_uid, one.pod) == (identity("app"), "containerd", UID, UID)
        assert (found.by, found.pids, found.uncertain) == ("cgroup", (10,), "")

    def test_its_pod_is_called_as_its_known_containers_call_it(self) -> None:
        app = container("app", pod="web", namespace="shop", pod_uid=UID, role="app")
        pod = f"/kubepods/burstable/pod{UID}"
        found = join([app], process(10, group=f"{pod}/{identity('app')}"), process(11, group=f"{pod}/{identity('x')}"))
        assert set(found) == {"shop/web/app", f"shop/web/{identity('x')[:12]}"}

    def test_own_mounts_and_own_processes_are_a_container(self) -> None:
        first = process(10, comm="bash", inner=(1,), pid=20, mnt=21)
        found = join([], first, process(11, 10, inner=(2,), pid=20, mnt=22), process(12, 11, inner=(3, 1), pid=30))
        (one,) = found.values()
        assert (one.container.called, one.container.id, one.pids) == ("bash-10", "pid:[20]", (10, 11, 12))
        assert (one.by, one.cgroup) == ("namespace", "/")
        assert "its name is made up" in one.uncertain

    def test_own_mounts_network_and_host_name_are_one_as_well(self) -> None:
        (one,) = join([], process(10, comm="bash", mnt=21, net=22, uts=23)).values()
        assert (one.container.id, one.pids) == ("mnt:[21]", (10,))

    def test_who_made_its_namespaces_is_no_second_container(self) -> None:
        """Unshare(1) is in the mount and network namespaces itself; its child is in the PID namespace."""
        maker = process(10, comm="unshare", mnt=21, net=22, uts=23)
        found = join([], maker, process(11, 10, comm="sh", inner=(1,), pid=20, mnt=21, net=22, uts=23))
        assert list(found) == ["sh-11"]

    @pytest.mark.parametrize(
        ("what", "spaces"),
        [
            ("PrivateTmp", {"mnt": 21}),
            ("ip netns exec", {"mnt": 21, "net": 22}),
            ("a browser", {"user": 20, "pid": 21, "net": 22}),
            ("podman unshare", {"user": 20, "mnt": 21}),
        ],
    )
    def test_namespaces_have_other_uses(self, what: str, spaces: dict[str, int]) -> None:
        inner = (1,) if "pid" in spaces else ()
        one = replace(process(10, comm=what, inner=inner), namespaces=NODE | spaces)
        assert not join([], one)

    def test_a_service_without_network_is_none(self) -> None:
        assert not join([], process(10, mnt=21, net=22, uts=23, group="/system.slice/systemd-hostnamed.service"))

    def test_who_looks_into_a_container_is_none(self) -> None:
        web = process(10, group=docker("web"), inner=(1,), pid=20, mnt=21, net=22, ipc=23)
        entered = process(11, comm="nsenter", inner=(9,), pid=20, mnt=21, net=22, ipc=23)
        beside = process(12, comm="nsenter", mnt=21, net=22, ipc=23)
        apart = process(13, comm="nsenter", inner=(1,), pid=30, mnt=21)
        halfway = process(14, comm="nsenter", mnt=31, net=22, uts=33)
        assert list(join([container("web")], web, entered, beside, apart, halfway)) == ["web"]

    def test_nobody_knows_where_the_nodes_first_process_may_not_be_seen(self) -> None:
        hidden = Process(1, 0, pids=(1,))
        other = process(10, inner=(1,), pid=20, mnt=21)
        assert not placed((), [hidden, other], node="n", pid_namespace=NODE["pid"], clock=CLOCK)
        assert not placed((), [other], node="n", pid_namespace=NODE["pid"], clock=CLOCK)
        assert placed((), [INIT, other], node="n", pid_namespace=NODE["pid"], clock=CLOCK)
