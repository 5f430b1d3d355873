"""Whose a control group is, and which limit holds for it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netfs.container.cgroups import below, told
from netfs.model.cgroups import Cgroup, Cpu, Effective
from netfs.model.containers import Container, Placed
from tests.unit.cgroup_records import (
    APP,
    MIB,
    NODE,
    PAUSE,
    POD,
    PODS,
    UID,
    V1,
    WEB,
    app,
    group,
    placed,
    sandbox,
    tree,
    web,
)


def names(groups: tuple[Cgroup, ...]) -> dict[str, tuple[str, str, str]]:
    return {each.path: (each.kind, each.pod, each.container) for each in groups}


def ask(paths: list[str], *known: Placed) -> dict[str, tuple[str, str, str]]:
    return names(told(tree(*map(group, paths)), known, node="node1").groups)


def test_a_pod_its_containers_and_what_is_inside_them() -> None:
    paths = [PODS, POD, f"{POD}/{APP}", f"{POD}/{APP}/init.scope", f"{POD}/{PAUSE}"]
    found = told(tree(*map(group, paths)), (placed(app()), placed(sandbox())), node="node1")
    assert names(found.groups) == {
        PODS: ("", "", ""),
        POD: ("pod", "team/pod-a", ""),
        f"{POD}/{APP}": ("container", "team/pod-a", "team/pod-a/app"),
        f"{POD}/{APP}/init.scope": ("", "team/pod-a", "team/pod-a/app"),
        f"{POD}/{PAUSE}": ("sandbox", "team/pod-a", "team/pod-a/sandbox"),
    }
    assert [each.qos for each in found.groups] == ["", *["burstable"] * 4]
    assert (found.driver, found.node, {each.node for each in found.groups}) == ("cgroupfs", "node1", {"node1"})


def test_podmans_pod_below_a_parent_of_its_own_is_a_pod() -> None:
    member = Container(WEB, pod="shop", pod_uid=PAUSE, role="web")
    paths = ["/mine", f"/mine/{PAUSE}", f"/mine/{PAUSE}/conmon", f"/mine/{PAUSE}/libpod-{WEB}"]
    assert ask(paths, placed(member)) == {
        "/mine": ("", "", ""),
        f"/mine/{PAUSE}": ("pod", "shop", ""),
        f"/mine/{PAUSE}/conmon": ("monitor", "shop", ""),
        f"/mine/{PAUSE}/libpod-{WEB}": ("container", "shop", "shop/web"),
    }


def test_without_an_engine_ids_and_uids_are_told() -> None:
    assert ask([POD, f"{POD}/{APP}", f"/docker/{WEB}"]) == {
        POD: ("pod", UID, ""),
        f"{POD}/{APP}": ("container", UID, APP[:12]),
        f"/docker/{WEB}": ("container", "", WEB[:12]),
    }


def test_a_container_nobody_knows_is_in_a_pod_that_is_known() -> None:
    assert ask([f"{POD}/{WEB}"], placed(app())) == {f"{POD}/{WEB}": ("container", "team/pod-a", WEB[:12])}


def test_a_pod_is_named_after_its_containers_where_its_uid_is_not_the_same() -> None:
    static = app(pod_uid="another")
    assert ask([POD, f"{POD}/{APP}"], placed(static))[POD] == ("pod", "team/pod-a", "")


def test_a_uid_without_dashes_is_the_same() -> None:
    path = f"/kubepods/pod{UID.replace('-', '')}"
    assert ask([path], placed(app()))[path] == ("pod", "team/pod-a", "")


def test_the_beginning_of_an_id_is_enough_where_one_alone_fits() -> None:
    path = f"/docker/{WEB}"
    assert ask([path], placed(Container(WEB[:12], "web")))[path][2] == "web"
    assert ask([path], placed(Container(WEB[:12], "web")), placed(Container(WEB[:16], "too")))[path][2] == WEB[:12]
    assert ask([path], placed(Container(WEB[:11], "web")))[path][2] == WEB[:12]
    assert ask(["/default/c1"], placed(Container("c1", "mine")))["/default/c1"] == ("container", "", "mine")
    assert ask(["/default/c12"], placed(Container("c1", "mine")))["/default/c12"] == ("container", "", "c12")


def test_another_nodes_container_is_not_named_here() -> None:
    path = f"/docker/{WEB}"
    assert ask([path], replace(placed(web()), node="node2"))[path] == ("container", "", WEB[:12])


def test_a_container_that_holds_others_plays_a_node() -> None:
    inner = f"/docker/{NODE}/kubelet{POD}/{APP}"
    paths = [f"/docker/{NODE}", f"/docker/{NODE}/init.scope", inner]
    kind = placed(Container(NODE, "kind-worker", runtime="docker"))
    assert ask(paths, kind, placed(app())) == {
        f"/docker/{NODE}": ("node", "", "kind-worker"),
        f"/docker/{NODE}/init.scope": ("", "", "kind-worker"),
        inner: ("container", "team/pod-a", "team/pod-a/app"),
    }


def test_a_monitor_is_told_with_what_it_watches() -> None:
    path = f"/machine.slice/libpod-conmon-{WEB}.scope"
    assert ask([path], placed(web()))[path] == ("monitor", "", "web")


def test_a_group_that_names_nobody_is_the_containers_that_has_all_its_processes() -> None:
    path, inside = "/mine/web", "/mine/web/inner"
    one = placed(web(), path, by="pid", pids=(7, 8))

    def asked(*pids: int, known: tuple[Placed, ...] = (one,)) -> dict[str, tuple[str, str, str]]:
        groups = (Cgroup("/mine"), Cgroup(path, pids=pids), Cgroup(inside))
        return names(told(tree(*groups), known, node="node1").groups)

    nobody = {path: ("", "", ""), inside: ("", "", "")}
    assert asked(7, 8) == {"/mine": ("", "", ""), path: ("container", "", "web"), inside: ("", "", "web")}
    assert asked(7, 9) == {"/mine": ("", "", "")} | nobody
    assert asked() == {"/mine": ("", "", "")} | nobody
    root = replace(one, cgroup="/")
    assert names(told(tree(Cgroup("/", pids=(7,))), (root,), node="node1").groups) == {"/": ("", "", "")}


def test_the_driver_is_what_the_paths_show() -> None:
    assert told(tree(group("/init.scope")), (), node="").driver == ""
    scope = group(f"/system.slice/docker-{WEB}.scope")
    assert told(tree(scope), (), node="").driver == "systemd"
    assert told(tree(scope, group(f"/docker/{APP}")), (), node="").driver == "mixed"


def test_the_smallest_limit_holds_and_the_nearer_of_two_equal_ones() -> None:
    found = told(
        tree(
            group("/", limit=500),
            group("/a", limit=100, pids=(1, 10), cpu=Cpu(quota_us=50_000, period_us=100_000)),
            group("/a/b", limit=200, swap_limit=7, cpu=Cpu(quota_us=300_000)),
            group("/a/b/c", limit=100),
            group("/d", limit=600),
        ),
        (),
        node="",
    ).groups
    assert found[1].effective == {
        "memory": Effective(100, "/a"),
        "pids": Effective(10, "/a"),
        "cpu": Effective(500_000, "/a"),
    }
    assert found[2].effective["memory"] == Effective(100, "/a")
    assert found[2].effective["swap"] == Effective(7, "/a/b")
    assert found[2].effective["cpu"] == Effective(500_000, "/a")
    assert found[3].effective["memory"] == Effective(100, "/a/b/c")
    assert found[4].effective["memory"] == Effective(500, "/")


def test_what_another_hierarchy_of_version_1_has_does_not_hold() -> None:
    groups = (
        group("/a", limit=100, pids=(1, 10), controllers=("memory", "pids")),
        group("/a/b", controllers=("pids",)),
    )
    found = told(tree(*groups, hierarchies=V1), (), node="").groups
    assert found[1].effective == {"pids": Effective(10, "/a")}
    assert set(told(tree(*groups), (), node="").groups[1].effective) == {"memory", "pids"}


SIZES = st.none() | st.integers(0, 5)
WORDS = st.lists(st.sampled_from("abc"), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.dictionaries(WORDS, st.tuples(SIZES, SIZES, SIZES), max_size=20))
def test_effective_limits_are_those_of_a_search_through_all_ancestors(
    limits: dict[str, tuple[int | None, int | None, int | None]],
) -> None:
    groups = [
        group(path, limit=memory, pids=(0, pids), cpu=Cpu(quota_us=quota))
        for path, (memory, pids, quota) in sorted(limits.items())
    ]
    found = told(tree(*groups), (), node="")
    assert [each.path for each in found.groups] == sorted(limits)
    for each in found.groups:
        for number, name in enumerate(("memory", "pids", "cpu")):
            line = [path for path in limits if path == "/" or f"{each.path}/".startswith(f"{path}/")]
            held = [(limits[path][number], -len(path), path) for path in line if limits[path][number] is not None]
            best = min(held, default=None, key=lambda one: (one[0] or 0, one[1]))
            expected = None if best is None else Effective((best[0] or 0) * (10 if name == "cpu" else 1), best[2])
            assert each.effective.get(name) == expected


@given(st.lists(st.text(), unique=True, max_size=8), st.text(), st.text(), st.text())
def test_any_names_are_taken_and_order_is_kept(paths: list[str], identity: str, pod: str, uid: str) -> None:
    known = placed(Container(identity, pod=pod, pod_uid=uid), paths[0] if paths else "", by="pid")
    found = told(tree(*map(group, paths)), (known,), node="node1")
    assert [each.path for each in found.groups] == paths


def test_a_tree_below_some_paths() -> None:
    whole = tree(*map(group, ["/", "/a", "/a/b", "/ab", "/c"]))
    assert [each.path for each in below(whole, {"/a", "/c"}).groups] == ["/a", "/a/b", "/c"]
    assert below(whole, {"/"}) == whole
    assert below(whole, ()).groups == ()


def test_what_is_used_does_not_matter_to_limits() -> None:
    found = told(tree(group("/a", used=5 * MIB), group("/a/b", limit=MIB)), (), node="").groups
    assert found[0].effective == {}
    assert found[1].effective == {"memory": Effective(MIB, "/a/b")}
