"""containerd with its CRI plugin, and pods in it, made as the kubelet makes them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netfs.container.engines.cri import runtime_pb2 as cri
from netfs.container.engines.cri.grpc import Connection
from tests.conformance.stores import archive
from tests.conformance.stores.containerd import Containerd, answers
from tests.conformance.stores.machine import Machine, machine

PROGRAMS = ("containerd", "ctr", "runc", "busybox", "unshare", "nsenter", "ip", "protoc", "/usr/lib/cni/bridge")
SOCKET = "/run/containerd/containerd.sock"
WITHOUT_CRI = "/run/other/containerd.sock"
"""Of a containerd as Docker sets it up."""
IMAGE = "docker.io/library/pause:1"
SLEEP = ("/bin/sleep", "1000")
LIMITS = {"cpu_period": 100_000, "cpu_quota": 50_000, "cpu_shares": 512, "memory_limit_in_bytes": 64 << 20}
SETTINGS = f"""
version = 2
[debug]
  level = "warn"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/run/cni"
"""
OTHER_SETTINGS = """
version = 2
root = "/var/lib/other"
state = "/run/other"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "/run/other/containerd.sock"
[debug]
  level = "warn"
"""
NETWORK = """
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true,
   "ipam": {"type": "host-local", "dataDir": "/run/ipam",
            "ranges": [[{"subnet": "10.22.0.0/24"}], [{"subnet": "fd00:22::/64"}]]}}]}
"""
POD, NODE, CONTAINER = 0, 2, 1
"""Of NamespaceMode."""
PATIENCE_S = 10


@dataclass(frozen=True)
class Pods:
    """A containerd that runs, and what was made in it."""

    containerd: Containerd
    ids: dict[str, str] = field(default_factory=dict)
    """By what they are called: ``web``, ``web/app``."""

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        return self.containerd.machine


class Client:
    """The part of the kubelet that makes pods."""

    def __init__(self, pods: Pods, folder: Path) -> None:
        self._pods = pods
        self._words = compiled(folder)
        self._connection = Connection(f"{pods.machine.root}{SOCKET}", 2 * PATIENCE_S)

    def call(self, method: str, request: Any) -> str:
        """The id that the answer has, if any."""
        answer = self._connection.call(f"/runtime.v1.RuntimeService/{method}", request.SerializeToString())
        return str(self._words.Made.FromString(answer).id)

    def pod(self, name: str, network: int, *containers: str) -> Any:
        """Run a pod of shop, and in it containers that are called so: ``made`` is not started, ``done`` ends."""
        uid = f"11111111-2222-3333-4444-{len(self._pods.ids):012}"
        pod = {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": uid}
        config = self._words.PodSandboxConfig(
            metadata={"name": name, "uid": uid, "namespace": "shop"},
            hostname=name if network == POD else "",
            log_directory="/run/logs",
            labels={**pod, "app": name},
            annotations={"kubernetes.io/config.source": "api"},
            linux={
                "cgroup_parent": f"{self._pods.machine.group}/kubepods/burstable/pod{uid}",
                "security_context": {"namespace_options": {"network": network, "pid": CONTAINER}},
            },
        )
        ids = self._pods.ids
        ids[name] = self.call("RunPodSandbox", self._words.RunPodSandboxRequest(config=config))
        for container in containers:
            labels = {**pod, "io.kubernetes.container.name": container}
            wanted = self._words.ContainerConfig(
                metadata={"name": container},
                image={"image": IMAGE},
                command=["/bin/sleep", "0"] if container == "done" else SLEEP,
                mounts=[{"container_path": "/data", "host_path": "/run/home"}],
                labels=labels,
                annotations={"io.kubernetes.container.restartCount": "0"},
                log_path=f"{container}.log",
                linux={"resources": LIMITS},
            )
            request = self._words.CreateContainerRequest(pod_sandbox_id=ids[name], config=wanted, sandbox_config=config)
            ids[f"{name}/{container}"] = self.call("CreateContainer", request)
            if container != "made":
                self.call("StartContainer", self._words.Named(id=ids[f"{name}/{container}"]))

    def await_end(self, name: str) -> None:
        """Until the daemon has noticed that a container ended."""
        until = time.monotonic() + PATIENCE_S
        asked = cri.ContainerStatusRequest(container_id=self._pods.ids[name]).SerializeToString()
        state = cri.CONTAINER_RUNNING
        while state != cri.CONTAINER_EXITED and time.monotonic() < until:
            answer = self._connection.call("/runtime.v1.RuntimeService/ContainerStatus", asked)
            state = cri.ContainerStatusResponse.FromString(answer).status.state
            time.sleep(0.01)

    def stop(self, name: str) -> None:
        """End a pod."""
        self.call("StopPodSandbox", self._words.Named(id=self._pods.ids[name]))


def compiled(folder: Path) -> Any:
    """The messages that make pods."""
    source = Path(__file__).parent
    subprocess.run(["protoc", f"-I{source}", f"--python_out={folder}", str(source / "pods.proto")], check=True)
    found = importlib.util.spec_from_file_location("netfs_cri_pods", folder / "pods_pb2.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def image(folder: Path) -> Path:
    """An image that sleeps."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    files = {"bin/busybox": Path(busybox).read_bytes()}
    layer = archive.layer(
        archive.Change("busybox", files=files, folders=("bin",), links={"bin/sleep": "busybox"}, mode=0o755)
    )
    archive.write(folder / "pause.tar", IMAGE, (layer,), ("ADD busybox",), SLEEP)
    return folder / "pause.tar"


@contextmanager
def running(folder: Path) -> Generator[Pods]:
    """The daemon with a pod of its own network, one of the node's, and one that ended; and a daemon without CRI."""
    with machine(folder) as own:
        root = Path(own.root)
        (root / "run/cni").mkdir()
        (root / "run/cni/10-pods.conflist").write_text(NETWORK)
        (root / "run/containerd.toml").write_text(SETTINGS)
        (root / "run/other.toml").write_text(OTHER_SETTINGS)
        pods = Pods(Containerd(own))
        with (
            own.daemon("containerd", "--config", "/run/containerd.toml", ready=lambda: answers(own)),
            own.daemon("containerd", "--config", "/run/other.toml", ready=(root / WITHOUT_CRI[1:]).exists),
        ):
            pods.containerd("images", "import", str(image(folder)), namespace="k8s.io")
            client = Client(pods, folder)
            client.pod("web", POD, "app", "done", "made")
            client.pod("agent", NODE, "app")
            client.pod("gone", POD)
            client.stop("gone")
            client.await_end("web/done")
            yield pods


def tasks(pods: Pods) -> dict[str, tuple[int, str]]:
    """Process and state of what runs, as ``ctr`` has them: the CRI plugin removes a task that ended."""
    rows = pods.containerd.rows("tasks", "ls", namespace="k8s.io")
    return {identity: (int(pid), state) for identity, pid, state in rows}
