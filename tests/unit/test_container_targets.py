"""What a name leads to among the containers of several nodes."""

from __future__ import annotations

from typing import Any

import pytest

from netfs.container.targets import Found, Known, find
from netfs.errors import EndpointError
from netfs.model.containers import Container, Placed


def placed(identity: str, *pids: int, node: str = "node1", **fields: Any) -> Placed:
    return Placed(Container(identity, **fields), node, pids[0] if pids else None, pids)


APP = placed("a" * 64, 11, 12, name="k8s_app", pod="pod-a", namespace="default", role="app", addresses=("10.0.0.2",))
SIDE = placed("b" * 64, 13, name="k8s_side", pod="pod-a", namespace="default", role="side")
PAUSE = placed("c" * 64, 10, name="k8s_pod", pod="pod-a", namespace="default", role="sandbox")
SHOP = placed("d" * 64, 20, node="node2", pod="pod-a", namespace="shop", role="app")
WEB = placed("e" * 64, 30, node="node2", name="web")
EARLIER = placed("f" * 64, pod="pod-a", namespace="default", role="app")
KNOWN = Known([PAUSE, APP, SIDE, SHOP, WEB, EARLIER], ["node1", "node2"], {1: "node1", 11: "node1", 30: "node2"})


def ids(found: Found) -> list[str]:
    return [each.container.id[0] for each in found.placed]


def test_a_pod_is_all_its_containers_the_sandbox_last_without_one_that_another_has_taken_the_place_of() -> None:
    found = find(KNOWN, "default/pod-a")
    assert (found.kind, found.name, found.node, ids(found)) == ("pod", "default/pod-a", "node1", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("text", "options", "kind", "expected"),
    [
        ("pod-a", {"namespace": "shop"}, "pod", ["d"]),
        ("pod/shop/pod-a", {}, "pod", ["d"]),
        ("node2/pod-a", {}, "pod", ["d"]),
        ("default/pod-a/app", {}, "container", ["a"]),
        ("pod-a/side", {}, "container", ["b"]),
        ("pod-a", {"namespace": "default", "container": "side"}, "container", ["b"]),
        ("k8s_pod", {}, "container", ["c"]),
        ("web", {}, "container", ["e"]),
        ("eee", {}, "container", ["e"]),
        ("container/" + "a" * 12, {}, "container", ["a"]),
        ("10.0.0.2", {}, "pod", ["a"]),
        ("pid/11", {}, "container", ["a"]),
    ],
)
def test_the_forms_of_a_name(text: str, options: dict[str, str], kind: str, expected: list[str]) -> None:
    found = find(KNOWN, text, **options)
    assert (found.kind, ids(found)) == (kind, expected)


def test_a_process_that_no_container_has_and_a_node() -> None:
    assert find(KNOWN, "pid/1") == Found("process", "pid/1", "node1", (), 1)
    assert find(KNOWN, "node/node2") == find(KNOWN, "node2") == Found("node", "node2", "node2")


def test_of_a_node_in_a_container_the_process_belongs_to_the_inner_container() -> None:
    outer, inner = placed("1" * 64, 5, 11, name="kind"), placed("2" * 64, 11, name="inner")
    for known in ([outer, inner], [inner, outer]):
        assert find(Known(known, ["node1"], {11: "node1"}), "pid/11").name == "inner"


def test_a_pod_without_a_namespace_is_named_by_its_name_alone() -> None:
    podmans = placed("1" * 64, 1, pod="web")
    kubernetes = placed("2" * 64, 2, pod="web", namespace="shop", role="app")
    known = Known([kubernetes, podmans], ["node1"])
    assert [ids(find(known, text)) for text in ("web", "pod/web", "shop/web", "pod/shop/web")] == [
        ["1"],
        ["1"],
        ["2"],
        ["2"],
    ]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("pod-a", {}, r"'pod-a' is ambiguous \(it may be default/pod-a on node1, shop/pod-a on node2\)"),
        ("pod-b", {}, "no pod, container, node or address 'pod-b' .did you mean pod-a"),
        ("pod-a", {"namespace": "none"}, "in namespace none"),
        ("web", {"container": "x"}, "no container 'x' in 'web' .there is web"),
        ("pid/99", {}, "no process '99'"),
        ("pid/-1", {}, "no process '-1'"),
        ("pid/99999999999999999999", {}, "no process"),
        ("node/node3", {}, "no node 'node3' .there is node1, node2"),
        ("ee", {}, "no pod, container"),
        ("\x1b[2J", {}, r"\\x1b\[2J"),
        ("", {}, "no pod"),
        ("/", {}, "no pod"),
    ],
)
def test_what_is_not_there_or_several_things_is_said(text: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(EndpointError, match=said):
        find(KNOWN, text, **options)


def test_two_containers_of_one_name_are_told_apart_by_their_ids() -> None:
    twins = Known([placed("1" * 64, 1, name="web"), placed("2" * 64, 2, name="web")], ["node1"])
    with pytest.raises(EndpointError, match=r"container/111111111111 \(web\), container/222222222222 \(web\)"):
        find(twins, "web")


def test_of_two_pods_of_one_name_the_one_that_runs_is_meant() -> None:
    old, new = (
        placed("1" * 64, pod="p", namespace="d", pod_uid="old", role="app"),
        placed("2" * 64, 2, pod="p", namespace="d", pod_uid="new", role="app"),
    )
    assert ids(find(Known([old, new], ["node1"]), "p")) == ["2"]


def test_an_address_of_a_node_is_the_node() -> None:
    known = KNOWN._replace(addresses={"192.0.2.7": ("node2", ""), "10.0.0.9": ("node1", "default/pod-a")})
    assert find(known, "192.0.2.7") == Found("node", "node2", "node2")
    assert find(known, "10.0.0.9").name == "default/pod-a"


def test_a_pod_of_another_namespace_is_suggested_with_it() -> None:
    with pytest.raises(EndpointError) as failure:
        find(KNOWN, "pod-a", namespace="none")
    assert failure.value.hint == "did you mean default/pod-a, shop/pod-a?"


def test_pods_are_listed_once_each_and_how_many_more_there_are() -> None:
    many = [placed(f"{number:064x}", pod=f"p{number:02}", namespace="x", role="app") for number in range(20)]
    with pytest.raises(EndpointError) as failure:
        find(Known(many, ["node1"]), "?")
    assert failure.value.hint.startswith("there is x/p00, x/p01, ")
    assert failure.value.hint.endswith("x/p11 and 9 more")
