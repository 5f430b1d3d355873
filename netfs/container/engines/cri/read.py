"""A container runtime asked by CRI for its pods and containers.

It loads h2 and protobuf: import it where there is a runtime to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from netfs.container.engines.connection import refusal
from netfs.container.engines.cri import records
from netfs.container.engines.cri import runtime_pb2 as cri
from netfs.container.engines.cri.grpc import NOT_FOUND, UNIMPLEMENTED, BrokenError, CallError, Connection
from netfs.container.engines.cri.service import RuntimeService
from netfs.model.containers import Container, Engine
from netfs.model.gaps import Gap

ENGINE, CONTAINERS, CONTAINER = "engine", "containers", "container"
"""``Gap.what``: nothing of it; its containers, or what their statuses would add; the same of one."""
_MOST_GAPS = 20

Answer = TypeVar("Answer", cri.PodSandboxStatusResponse, cri.ContainerStatusResponse)


def read(path: str, timeout: float = 2.0) -> Engine:
    """The runtime that listens at ``path``, all its containers and sandboxes; what failed is a gap. Raises nothing.

    A containerd that serves no CRI (Docker's: ``disabled_plugins = ["cri"]``) has none of Kubernetes' containers, which
    is no gap. What others keep in it, its files tell.
    """
    reading = _Reading(path)
    try:
        with Connection(path, timeout) as connection:
            reading.ask(RuntimeService(connection))
    except OSError as error:
        reading.gap(CONTAINERS if reading.version else ENGINE, refusal(path, error))
    except (BrokenError, CallError) as error:
        reading.gap(CONTAINERS if reading.version else ENGINE, str(error))
    return reading.engine()


class _Reading:
    """What is known so far: an answer that does not come any more takes nothing away."""

    def __init__(self, path: str) -> None:
        self._where = f"unix://{path}"
        self._name = "cri-o" if "crio" in path else "containerd"  # as its socket is called, until it says so itself
        self.version = ""
        self._driver = ""
        self._containers: dict[str, Container] = {}
        self._gaps: list[Gap] = []

    def engine(self) -> Engine:
        """All of it."""
        known = self._containers
        containers = tuple(records.in_pod(each, known.get(each.sandbox)) for each in known.values())
        return Engine(self._name, self._where, self.version, containers, self._driver, gaps=tuple(self._gaps))

    def gap(self, what: str, reason: str, of: str = "") -> None:
        """Note what failed. A thousand containers may fail alike."""
        if len(self._gaps) < _MOST_GAPS:
            self._gaps.append(Gap(f"{self._where} {of}" if of else self._where, what, reason))

    def ask(self, service: RuntimeService) -> None:
        """Raises CallError, BrokenError, OSError."""
        try:
            said = service.version()
        except CallError as error:
            if error.code != UNIMPLEMENTED:
                raise
            self.version = _without_cri(service, error)
            return
        self._name, self.version = said.runtime_name or self._name, said.runtime_version
        # Containers first: the sandbox of each was there before it.
        containers, sandboxes = service.containers(), service.sandboxes()
        self._containers |= {one.id: records.listed_sandbox(one, self._name) for one in sandboxes}
        self._containers |= {one.id: records.listed_container(one, self._name) for one in containers}
        self._driver = _driver(service)
        self._add(service.sandbox_statuses([one.id for one in sandboxes]), records.sandbox)
        self._add(service.container_statuses([one.id for one in containers]), records.container)

    def _add(
        self,
        answers: Iterable[tuple[str, Answer | CallError]],
        told: Callable[[Container, Answer, object], Container],
    ) -> None:
        """What statuses add. One that is not there any more has gone meanwhile."""
        for identity, answer in answers:
            listed = self._containers.get(identity)
            if listed is None:
                continue
            if not isinstance(answer, CallError):
                self._containers[identity] = told(listed, answer, self._details(identity, answer))
            elif answer.code == NOT_FOUND:
                del self._containers[identity]
            else:
                self.gap(CONTAINER, str(answer), of=identity)

    def _details(self, identity: str, answer: Answer) -> object:
        try:
            return records.details(answer.info)
        except (ValueError, RecursionError):
            self.gap(CONTAINER, "what it says in detail is no JSON", of=identity)
            return None


def _without_cri(service: RuntimeService, error: CallError) -> str:
    """The version of a containerd that serves no CRI. Raises the error where it is no containerd."""
    try:
        return service.of_containerd()
    except CallError:
        raise error from None


def _driver(service: RuntimeService) -> str:
    """Of control groups. CRI tells since Kubernetes 1.28; of an older containerd, the plugin's configuration does."""
    try:
        return records.driver(service.config())
    except CallError:
        pass
    try:
        return records.configured_driver(service.status())
    except CallError:
        return ""
