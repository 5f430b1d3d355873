"""The calls of CRI's RuntimeService, in the version of it that a server has.

``runtime.v1`` is that of Kubernetes 1.23 and later. containerd before 1.6 and CRI-O before 1.23 have
``runtime.v1alpha2``, with the same messages (k8s.io/cri-api, pkg/apis/runtime).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from netfs.container.engines.cri import runtime_pb2 as cri
from netfs.container.engines.cri.grpc import UNIMPLEMENTED, UNKNOWN, CallError, Connection

VERSIONS = ("runtime.v1", "runtime.v1alpha2")
_CONTAINERD = "/containerd.services.version.v1.Version/Version"

Response = TypeVar("Response", bound=Message)


class RuntimeService:
    """A server's RuntimeService.

    Every call raises CallError where it is answered with an error; BrokenError and OSError where no call is answered
    any more.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = VERSIONS[0]

    def version(self) -> cri.VersionResponse:
        """Who serves it; settles the version of the interface, and has to be asked first."""
        for version in VERSIONS:
            self._version = version
            try:
                return self._call("Version", cri.VersionRequest(), cri.VersionResponse)
            except CallError as error:
                if error.code != UNIMPLEMENTED:
                    raise
        raise CallError(UNIMPLEMENTED, f"it serves neither {' nor '.join(VERSIONS)}")

    def of_containerd(self) -> str:
        """The version of a containerd, whether it serves CRI or not (containerd, api/services/version/v1)."""
        return _parsed(self._connection.call(_CONTAINERD, b""), cri.ContainerdVersionResponse).version

    def config(self) -> cri.RuntimeConfigResponse:
        """How the runtime is set up."""
        return self._call("RuntimeConfig", cri.RuntimeConfigRequest(), cri.RuntimeConfigResponse)

    def status(self) -> cri.StatusResponse:
        """What it says of itself, with all it has to say."""
        return self._call("Status", cri.StatusRequest(verbose=True), cri.StatusResponse)

    def containers(self) -> Sequence[cri.Container]:
        """Every container, whatever its state."""
        return self._call("ListContainers", cri.ListContainersRequest(), cri.ListContainersResponse).containers

    def sandboxes(self) -> Sequence[cri.PodSandbox]:
        """Every pod's sandbox, whatever its state."""
        return self._call("ListPodSandbox", cri.ListPodSandboxRequest(), cri.ListPodSandboxResponse).items

    def container_statuses(self, ids: Sequence[str]) -> Iterator[tuple[str, cri.ContainerStatusResponse | CallError]]:
        """What it says of each of these containers, as the answers come."""
        requests = [cri.ContainerStatusRequest(container_id=identity, verbose=True) for identity in ids]
        return self._each("ContainerStatus", ids, requests, cri.ContainerStatusResponse)

    def sandbox_statuses(self, ids: Sequence[str]) -> Iterator[tuple[str, cri.PodSandboxStatusResponse | CallError]]:
        """What it says of each of these sandboxes, as the answers come."""
        requests = [cri.PodSandboxStatusRequest(pod_sandbox_id=identity, verbose=True) for identity in ids]
        return self._each("PodSandboxStatus", ids, requests, cri.PodSandboxStatusResponse)

    def _path(self, method: str) -> str:
        return f"/{self._version}.RuntimeService/{method}"

    def _call(self, method: str, request: Message, response: type[Response]) -> Response:
        return _parsed(self._connection.call(self._path(method), request.SerializeToString()), response)

    def _each(
        self, method: str, ids: Sequence[str], requests: Sequence[Message], response: type[Response]
    ) -> Iterator[tuple[str, Response | CallError]]:
        data = [request.SerializeToString() for request in requests]
        for number, answer in self._connection.calls(self._path(method), data):
            yield ids[number], answer if isinstance(answer, CallError) else _parsed_or_error(answer, response)


def _parsed(data: bytes, kind: type[Response]) -> Response:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise CallError(UNKNOWN, f"its answer is no {kind.DESCRIPTOR.name}") from error


def _parsed_or_error(data: bytes, kind: type[Response]) -> Response | CallError:
    try:
        return _parsed(data, kind)
    except CallError as error:
        return error
