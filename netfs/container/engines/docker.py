"""Docker, asked at its socket (Engine API; moby ``api/docs/``): what ``docker inspect`` tells of every container.

Paths without a version: each daemon answers them as its newest API does, 20.10 as well as 29. Podman answers them too,
and is asked in its own words then.
"""

from __future__ import annotations

from netfs.container.engines import podman
from netfs.container.engines.answers import inspected
from netfs.container.engines.http import Answer, Http
from netfs.container.engines.inspections import inspections
from netfs.model.containers import Container, Engine
from netfs.model.gaps import Gap
from netfs.overlay.stores import documents

NAME = "docker"


def read(path: str, timeout: float = 2.0) -> Engine:
    """What listens at the socket, and its containers. Raises nothing: what failed is a gap.

    ``timeout``: seconds for each answer. Whoever says nothing to the first question is not asked another.
    """
    with Http(path, timeout) as http:
        answer = http.ask("/version")
        if isinstance(answer, Answer) and podman.is_podman(answer):
            return podman.ask(http)
        version = http.document(answer, "engine")
        if isinstance(version, Gap):
            return Engine(NAME, http.where, gaps=(version,))
        found = inspections(http, "/containers/json?all=1", lambda identity: f"/containers/{identity}/json")
        told = [
            inspected(identity, found.inspected[identity]) if identity in found.inspected else listed(identity, entry)
            for identity, entry in found.listed.items()
        ]
        info = None if http.hangs else http.get("/info", "cgroup driver")
        return Engine(
            NAME,
            http.where,
            version=documents.text(version, "Version"),
            containers=tuple(told),
            cgroup_driver=documents.text(info, "CgroupDriver"),
            gaps=(*found.gaps, *((info,) if isinstance(info, Gap) else ())),
        )


def listed(identity: str, entry: object) -> Container:
    """A container, as its entry in the list has it: without process, limits and group."""
    names = documents.texts(entry, "Names")
    as_inspected = {
        "Name": min(names, key=lambda name: name.count("/"), default=""),  # the others are those of links to it
        "Image": documents.text(entry, "ImageID"),
        "Config": {"Image": documents.text(entry, "Image"), "Labels": documents.mapping(entry, "Labels")},
        "NetworkSettings": documents.mapping(entry, "NetworkSettings"),
        "Mounts": documents.items(entry, "Mounts"),
        "State": {"Status": documents.text(entry, "State")},
    }
    return inspected(identity, as_inspected)
