"""Docker and Podman with containers of every sort, to be compared with what they say of them.

Both run the same: one with limits and odd labels, one with a quota, one that is paused, one that ended, one that was
never started, and two that are a pod.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.stores import content
from tests.conformance.stores import docker as docker_store
from tests.conformance.stores import podman as podman_store
from tests.conformance.stores.docker import Docker
from tests.conformance.stores.machine import Machine, machine
from tests.conformance.stores.podman import Podman

DOCKER = docker_store.SOCKET
PODMAN = "/run/podman/podman.sock"
SLEEP = ("base:1", "/bin/sleep", "1000")
LABEL = 'ü ☃\t"quoted"\nnext line\x1b[31m'
"""What a label may hold."""
LIMITS = (
    *("--memory", "64m", "--memory-swap", "96m", "--cpus", "1.5", "--cpu-shares", "512", "--cpuset-cpus", "0"),
    *("--pids-limit", "77"),
)
QUOTA = ("--cpu-quota", "20000", "--cpu-period", "50000", "--pids-limit", "-1")
POD_LABELS = {
    "io.kubernetes.pod.name": "pod-a",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": "0b5f2c6e-7d4d-4b6f-8d9c-5a0c7c3a1f11",
}
RUNNING = ("limited", "A.odd_name-1", "quota", "paused")
NETWORK = "10.77.0.0/24"


def import_base(engine: Callable[..., str], folder: Path, *options: str) -> None:
    """The image that all of them are made from."""
    content.plant(folder / "tree")
    engine("import", *options, str(content.tar(folder / "tree", folder / "base.tar")), "base:1")


def run_all(run: Callable[..., str], engine: Callable[..., str], *options: str) -> None:
    """``run``: starts one in the background; ``options``: of those that are not started so."""
    run("--name", "limited", *LIMITS, "--label", f"odd={LABEL}", "--label", "empty=", "-v", "/run/etc:/data/v", *SLEEP)
    run("--name", "A.odd_name-1", "--tmpfs", "/scratch", "base:1", "/bin/sh", "-c", "while :; do sleep 1; done # 'a b'")
    run("--name", "quota", *QUOTA, *SLEEP)
    run("--name", "paused", *SLEEP)
    engine("pause", "paused")
    engine("run", *options, "--name", "ended", "base:1", "/bin/true")
    engine("create", *options, "--name", "created", "base:1", "/bin/true")


@contextmanager
def docker(folder: Path) -> Generator[Docker]:
    """The daemon and its containers."""
    with machine(folder, {"DOCKER_HOST": f"unix://{DOCKER}"}) as own:
        engine = Docker(own)
        with docker_store.started(engine):
            import_base(engine, folder)
            options = docker_store.options(engine)
            run_all(lambda *words: engine("run", "-d", *options, *words), engine, *options)
            labels = [word for pair in POD_LABELS.items() for word in ("--label", "=".join(pair))]
            sandbox = engine(
                *(
                    "run",
                    "-d",
                    *options,
                    "--name",
                    "k8s_POD",
                    *labels,
                    "--label",
                    "io.kubernetes.docker.type=podsandbox",
                ),
                *SLEEP,
            )
            engine(
                *("run", "-d", *options[2:], "--network", f"container:{sandbox}", "--name", "k8s_app", *labels),
                *("--label", f"io.kubernetes.sandbox.id={sandbox}", "--label", "io.kubernetes.container.name=app"),
                *SLEEP,
            )
            engine("network", "create", "--subnet", NETWORK, "own")
            engine("run", "-d", *options[2:], "--network", "own", "--name", "networked", *SLEEP)
            yield engine


@contextmanager
def podman(folder: Path) -> Generator[Podman]:
    """Its service and its containers."""
    settings = folder / "containers.conf"
    settings.write_text(podman_store.CONFIGURATION.replace('"disabled"', '"enabled"'))
    with machine(folder, {"CONTAINERS_CONF": str(settings)}, unified=False) as own:
        engine = Podman(own)
        Path(own.root, "etc/containers/storage.conf").write_text(podman_store.STORAGE)
        own.run("mkdir", "-p", podman_store.MORE, str(Path(PODMAN).parent))
        import_base(engine, folder, "--quiet")
        options = ("--cgroup-parent", own.group)
        run_all(lambda *words: engine("run", "-d", *options, *words), engine, *options)
        infra = ("--infra-image", "base:1", "--infra-command", "/bin/sleep 1000", "--share", "ipc,uts")
        engine("pod", "create", "--name", "web", *options, *infra)
        engine("run", "-d", "--pod", "web", "--name", "in-pod", *SLEEP)
        with own.daemon("podman", "system", "service", "--time", "0", f"unix://{PODMAN}", ready=lambda: answers(own)):
            yield engine


def answers(own: Machine) -> bool:
    """Whether Podman's service listens."""
    return os.path.exists(own.root + PODMAN)
