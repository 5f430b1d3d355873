"""Stores in a few lines: a Docker store with two images that share a base, a pod, a plain container, and leftovers."""

from __future__ import annotations

from netfs.model.containers import Container
from netfs.model.layers import HistoryLine, Image, Layer, Store

BASE, APP, OTHER, INIT, TOP, PLAIN, LOST = (
    "ba5e" * 16,
    "a44a" * 16,
    "07e7" * 16,
    "1417" * 16,
    "7094" * 16,
    "91a1" * 16,
    "1057" * 16,
)


def layer(identity: str, *lower: str, role: str = "image", short: str = "", missing: bool = False) -> Layer:
    path = f"/var/lib/docker/overlay2/{identity}"
    return Layer(
        identity, path, (f"{path}/diff",), lower, role, short or identity[:4].upper() + "LINK", missing=missing
    )


IMAGE = Image(
    "sha256:" + "11" * 32,
    ("registry.example/team/app:1", "registry.example/team/app@sha256:" + "22" * 32),
    (APP, BASE),
    (HistoryLine("ADD base", layer=BASE), HistoryLine("CMD app"), HistoryLine("RUN make app", layer=APP)),
)
OTHER_IMAGE = Image("sha256:" + "33" * 32, ("busybox:latest",), (OTHER, BASE))
POD = Container(
    "c0ffee" * 10 + "c0ff",
    "k8s_app_pod-a_team_uid_0",
    IMAGE.id,
    IMAGE.names[0],
    TOP,
    "running",
    pod="pod-a",
    namespace="team",
    pod_uid="uid",
    role="app",
)
SANDBOX = Container("5a4d" * 16, "k8s_POD_pod-a_team_uid_0", pod="pod-a", namespace="team", role="sandbox", layer=OTHER)
PLAIN_ONE = Container("91a1f00d" * 8, "web", OTHER_IMAGE.id, "busybox", PLAIN, "exited")


def store(*more: Layer, **fields: object) -> Store:
    layers = (
        layer(BASE),
        layer(APP, BASE),
        layer(OTHER, BASE),
        layer(f"{TOP}-init", APP, BASE, role="init"),
        layer(TOP, f"{TOP}-init", APP, BASE, role="container"),
        layer(PLAIN, OTHER, BASE, role="container"),
        *more,
    )
    links = {each.short: f"../{each.id}/diff" for each in layers}
    given = {
        "engine": "docker",
        "path": "/var/lib/docker",
        "node": "node1",
        "driver": "overlay2",
        "layers": layers,
        "images": (IMAGE, OTHER_IMAGE),
        "containers": (POD, SANDBOX, PLAIN_ONE),
        "links": links,
    }
    return Store(**(given | fields))  # type: ignore[arg-type]  # a test names fields that Store has
