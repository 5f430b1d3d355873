"""Podman, asked at its socket (libpod API; podman ``pkg/api/server``): its containers, with their pods.

Every answer names the version of the API in a header, and that version is asked for. What an answer to ``inspect`` says
is called as Docker calls it, with more beside (podman ``libpod/define/container_inspect.go``); pods' names are in the
list alone (``pkg/domain/entities/container_ps.go``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from netfs.container.engines import answers
from netfs.container.engines.http import Answer, Http
from netfs.container.engines.inspections import Inspections, inspections
from netfs.model.containers import SANDBOX, Container, Engine
from netfs.model.gaps import Gap
from netfs.overlay.stores import documents
from netfs.overlay.stores.containers_storage import images

NAME = "podman"
_HEADER = "libpod-api-version"
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){2}")
_OLDEST = "4.0.0"
"""Of the versions that Podman 4 and 5 answer."""


def read(path: str, timeout: float = 2.0) -> Engine:
    """What listens at the socket, and its containers. Raises nothing: what failed is a gap.

    ``timeout``: seconds for each answer. Asking starts a service where systemd holds the socket
    (podman-system-service(1)); it ends some seconds later.
    """
    with Http(path, timeout) as http:
        return ask(http)


def is_podman(answer: Answer) -> bool:
    """Whether an answer is Podman's, to whatever was asked."""
    return _HEADER in answer.headers


def ask(http: Http) -> Engine:
    """As ``read``, on a connection that is there."""
    ping = http.ask("/libpod/_ping")
    if isinstance(ping, Gap):
        return Engine(NAME, http.where, gaps=(ping,))
    if not is_podman(ping):
        return Engine(NAME, http.where, gaps=(Gap(http.where, "engine", f"answered {ping.status}: it is not Podman"),))
    version = ping.headers[_HEADER]
    below = f"/v{version if _VERSION.fullmatch(version) else _OLDEST}/libpod"
    found = inspections(
        http, f"{below}/containers/json?all=true", lambda identity: f"{below}/containers/{identity}/json"
    )
    driver = _driver(found) or (None if http.hangs else _asked_driver(http, below))
    return Engine(
        NAME,
        http.where,
        version=version,
        containers=_containers(found),
        cgroup_driver=driver if isinstance(driver, str) else "",
        gaps=(*found.gaps, *((driver,) if isinstance(driver, Gap) else ())),
    )


def _driver(found: Inspections) -> str:
    """Each container names it; asking Podman itself would start programs of which it tells the versions."""
    told = (documents.text(document, "HostConfig", "CgroupManager") for document in found.inspected.values())
    return next(filter(None, told), "")


def _asked_driver(http: Http, below: str) -> str | Gap:
    info = http.get(f"{below}/info", "cgroup driver")
    return info if isinstance(info, Gap) else documents.text(info, "host", "cgroupManager")


def _containers(found: Inspections) -> tuple[Container, ...]:
    infra = {
        documents.text(entry, "Pod"): identity
        for identity, entry in found.listed.items()
        if documents.flag(entry, "IsInfra")
    }
    return tuple(
        _in_pod(
            inspected(identity, found.inspected[identity]) if identity in found.inspected else listed(identity, entry),
            entry,
            infra,
        )
        for identity, entry in found.listed.items()
    )


def _in_pod(container: Container, entry: object, infra: Mapping[str, str]) -> Container:
    """With its pod, whose id stands in control groups where Kubernetes has the UID."""
    pod = documents.text(entry, "Pod")
    if not pod:
        return container
    holder = infra.get(pod, "")
    return replace(
        container,
        pod=container.pod or documents.text(entry, "PodName") or pod,
        pod_uid=container.pod_uid or pod,
        role=SANDBOX if holder == container.id else container.role,
        sandbox=holder if holder != container.id else "",
    )


def inspected(identity: str, document: object) -> Container:
    """A container, as an answer to ``inspect`` has it."""
    told = answers.inspected(identity, document)
    return replace(
        told,
        image=images.identity(told.image),
        image_name=documents.text(document, "ImageName") or told.image_name,
        runtime=NAME,
        cgroup=documents.text(document, "State", "CgroupPath"),
    )


def listed(identity: str, entry: object) -> Container:
    """A container, as its entry in the list has it."""
    as_inspected = {
        "Name": next(iter(documents.texts(entry, "Names")), ""),
        "Image": documents.text(entry, "ImageID"),
        "ImageName": documents.text(entry, "Image"),
        "Config": {"Labels": documents.mapping(entry, "Labels")},
        "Created": documents.text(entry, "Created"),
        "State": {"Status": documents.text(entry, "State"), "Pid": documents.number(entry, "Pid")},
    }
    return replace(inspected(identity, as_inspected), command=documents.texts(entry, "Command"))
