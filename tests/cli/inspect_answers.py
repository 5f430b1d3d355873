"""What ``netfs inspect`` answers, made by hand: a pod, one on the node's network, a plain container, a stopped one."""

from __future__ import annotations

from dataclasses import replace

from netfs.model.cgroups import Cgroup, Cpu, Cpuset, Effective, HugePages, Io, Memory, Pids, Pressure, Stall
from netfs.model.containers import SANDBOX, Container, Limits
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.inspected import Inspected, InspectedContainer, Interface, SharedNamespace, Socket
from netfs.model.layer_answers import ChainRef
from netfs.model.namespaces import Namespace
from netfs.model.process_facts import IdMap, MountPoint, Privileges, ProcessFacts, ProcessUse, Resolver

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egpj.exe\nnetfs: all is well\udcff"
"""ESC, BEL, a bidirectional override, a line break, and a byte that is no UTF-8."""
MIB = 1 << 20
UID = "9bb860b4-a6e4-4cf9-89da-f85d815086f4"
APP, PAUSE, WEB = "c0ffee00" * 8, "5a4db0ff" * 8, "ab5e0000" * 8
POD_PATH = f"/kubepods/burstable/pod{UID}"
DEFAULTS = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
EVERY = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def mount(path: str, type: str, source: str, options: str = "rw,relatime", root: str = "/") -> MountPoint:
    return MountPoint(1, 0, "0:1", root, path, options, type, source)


RUNTIME_MOUNTS = (
    mount("/", "overlay", "overlay"),
    mount("/proc", "proc", "proc"),
    mount("/dev", "tmpfs", "tmpfs"),
    mount("/dev/pts", "devpts", "devpts"),
    mount("/sys", "sysfs", "sysfs", "ro"),
    mount("/sys/fs/cgroup", "cgroup2", "cgroup", "ro"),
    mount("/etc/hosts", "ext4", "/dev/vda1", root="/var/lib/kubelet/pods/x/etc-hosts"),
    mount("/proc/kcore", "tmpfs", "tmpfs"),
)


def privileges(*more: str, less: tuple[str, ...] = ()) -> Privileges:
    held = tuple(sorted({*DEFAULTS, *more} - set(less)))
    return Privileges(
        0,
        0,
        (0, 10),
        dict.fromkeys(("effective", "permitted", "bounding"), held),
        no_new_privileges=True,
        seccomp="filter",
        seccomp_filters=1,
        apparmor="docker-default (enforce)",
        uid_map=(IdMap(0, 0, 1 << 32 - 1),),
    )


def process(pid: int, ppid: int, depth: int, *command: str, **fields: object) -> ProcessUse:
    known: dict[str, object] = {"user": "root", "state": "sleeping", "cpu_seconds": 0.04, "memory": 2 * MIB}
    inner = pid - 4710
    return ProcessUse(
        pid,
        inner,
        ppid,
        depth,
        command[0] if command else "defunct",
        command,
        started_at="2026-01-01T10:00:00Z",
        **(known | fields),  # type: ignore[arg-type]  # by name, each of its own type
    )


PROCESSES = (
    process(4711, 4700, 0, "nginx", "-g", "daemon off;"),
    process(4712, 4711, 1, "nginx: worker process", user="www-data", cpu_seconds=75.5, memory=9 * MIB),
    process(4713, 4711, 1, "nginx: worker process", user="www-data", cpu_seconds=15_000.0, memory=8 * MIB),
)
FACTS = ProcessFacts(
    4711,
    ("nginx", "-g", "daemon off;"),
    "/usr/sbin/nginx",
    "/",
    privileges("CAP_NET_ADMIN"),
    (
        *RUNTIME_MOUNTS,
        mount("/data", "ext4", "/dev/vda1", "ro", f"/var/lib/kubelet/pods/{UID}/volumes/data"),
        mount("/cache", "tmpfs", "tmpfs"),
    ),
    Resolver(
        ("10.96.0.10",),
        ("default.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        ("ndots:5",),
        "/var/lib/r.conf",
    ),
    {"127.0.0.1": ("localhost",), "10.244.1.2": ("pod-a",)},
    12,
    1024,
    -997,
)
GROUP = Cgroup(
    f"{POD_PATH}/{APP}",
    ("cpu", "memory", "pids"),
    "node1",
    (4711, 4712, 4713),
    cpu=Cpu(123_400_000, quota_us=50_000, period_us=100_000, periods=1000, throttled_periods=31, throttled_us=9),
    memory=Memory(12 * MIB, 64 * MIB, 8 * MIB, oom_kills=2),
    processes=Pids(3, 100),
    io=(Io("254:0", 4096, 8192, 1, 2, {"rbps": 1024}),),
    huge_pages=(HugePages("2MB", 0, 0),),
    cpuset=Cpuset(effective_cpus="0-1"),
    pressure={"memory": Pressure(Stall(1.5, 0.2, 0.0, 100))},
    effective={
        "cpu": Effective(500_000, f"{POD_PATH}/{APP}"),
        "memory": Effective(32 * MIB, POD_PATH),
        "pids": Effective(100, "/kubepods"),
    },
    container="default/pod-a/app",
    pod="default/pod-a",
    kind="container",
)
POD_GROUP = Cgroup(POD_PATH, memory=Memory(14 * MIB, 32 * MIB, 9 * MIB), kind="pod", pod="default/pod-a")
CHAIN = ChainRef(
    "container",
    "default/pod-a/app",
    APP,
    "containerd",
    "/var/lib/containerd",
    "node1",
    tuple("54321"),
    own=56 << 10,
    image_names=("shop/web:1",),
    mountpoint="/run/containerd/x/rootfs",
)


def spaces(**whose: str) -> tuple[SharedNamespace, ...]:
    """``spaces(net="node", ipc="default/pod-a/sandbox")``; the others are its own."""
    found = []
    for number, type in enumerate(EVERY, 4026531840):
        other = whose.get(type, "")
        with_node = other == "node"
        found.append(
            SharedNamespace(
                type,
                None if other == "?" else number,
                own=not other,
                with_node=with_node,
                shared_with=() if other in ("", "node", "?", "strangers") else tuple(other.split()),
                pins=("/run/netns/cni-1",) if type == "net" else (),
            )
        )
    return tuple(found)


SANDBOXED = "default/pod-a/sandbox"
POD_APP = InspectedContainer(
    Container(
        APP,
        "k8s_app_pod-a",
        "sha256:" + "11" * 32,
        "shop/web:1",
        state="running",
        pod="pod-a",
        namespace="default",
        pod_uid=UID,
        role="app",
        created_at="2026-01-01T09:59:59Z",
        mounts={"/etc/hosts": "/var/lib/kubelet/pods/x/etc-hosts", "/cache": "tmpfs"},
        runtime="containerd",
        sandbox=PAUSE,
        started_at="2026-01-01T10:00:00.123456789Z",
    ),
    "node1",
    4711,
    "cgroup",
    processes=PROCESSES,
    namespaces=spaces(net=SANDBOXED, ipc=SANDBOXED, uts=SANDBOXED, time="node", user="node"),
    cgroup=GROUP,
    chain=CHAIN,
    root=RUNTIME_MOUNTS[0],
    facts=FACTS,
)
POD_PAUSE = InspectedContainer(
    Container(
        PAUSE,
        state="running",
        pod="pod-a",
        namespace="default",
        role=SANDBOX,
        labels={"app": "web"},
        runtime="containerd",
    ),
    "node1",
    4705,
    "cgroup",
    processes=(replace(PROCESSES[0], pid=4705, command=("/pause",)),),
)
LO = Interface("lo", "lo", "00:00:00:00:00:00", 65536, True, ("127.0.0.1/8", "::1/128"))
ETH0 = Interface(
    "eth0",
    "veth",
    "0a:58:0a:f4:01:02",
    1450,
    True,
    ("10.244.1.2/24", "fe80::858:aff:fef4:102/64"),
    "veth09f4985a",
    "node1",
    "cni0",
    ("eth0", "veth09f4985a", "cni0", "eth0"),
)
ROUTES = (
    "default via 10.244.1.1 dev eth0",
    "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2",
    "fe80::/64 dev eth0 proto kernel metric 256",
)
FINDING = Finding(
    "memory-near-limit",
    "warning",
    "default/pod-a/app",
    "the working set is 29.0 MiB of 32.0 MiB: the kernel is about to kill a process",
    "kubectl set resources deployment web --limits=memory=64Mi",
    "node1",
)
ERROR = Finding("oom-killed", "error", "default/pod-a/app", "2 processes were killed", "raise its limit", "node1")
POD = Inspected(
    "default/pod-a",
    "pod",
    "node1",
    UID,
    {"app": "web", "tier": "front"},
    (POD_APP, POD_PAUSE),
    POD_GROUP,
    tuple(Namespace(type, number, pids=(4711, 4712, 4713)) for number, type in enumerate(EVERY, 4026531840)),
    (LO, ETH0),
    ROUTES,
    (Socket("tcp", "0.0.0.0", 80, pids=(4711, 4712), command="nginx"), Socket("udp", "::", 53, "eth0")),
    (FINDING,),
)
HOST_NETWORK = replace(
    POD,
    name="kube-system/proxy",
    containers=(replace(POD_APP, namespaces=spaces(net="node", uts="node", time="node", user="node")),),
    interfaces=tuple(replace(ETH0, name=f"eth{number}") for number in range(40)),
    sockets=(Socket("tcp", "127.0.0.1", 10249, pids=(4711,), command="kube-proxy"),),
    findings=(),
)
PLAIN = Inspected(
    "web",
    "container",
    "host",
    containers=(
        replace(
            POD_APP,
            container=Container(WEB, "web", image_name="nginx:1", state="running", runtime="docker", started_at="x"),
            node="host",
            namespaces=spaces(time="node", user="node", net="shop db", pid="strangers", cgroup="?"),
            cgroup=replace(GROUP, path=f"/docker/{WEB}", effective={}, cpu=Cpu(10), memory=Memory(MIB)),
            chain=None,
            facts=replace(
                FACTS,
                privileges=replace(privileges(), all_capabilities=True, seccomp="disabled", no_new_privileges=False),
            ),
            processes=tuple(
                process(4711 + n, 4711 + (n - 1) // 2, n.bit_length(), "sh", "-c", "x" * 99) for n in range(12)
            ),
        ),
    ),
    interfaces=(
        LO,
        replace(ETH0, way=(), bridge="docker0", peer="vethab", peer_netns="host"),
        replace(ETH0, name="net1", peer="", way=(), bridge=""),
    ),
    routes=ROUTES[1:],
    namespaces=(Namespace("pid", 4026531844, pids=(*range(4711, 4723), 9999)),),
)
STOPPED = Inspected(
    "web",
    "container",
    "host",
    containers=(
        InspectedContainer(
            Container(
                WEB,
                "web",
                image_name="nginx:1",
                state="exited",
                runtime="docker",
                started_at="2026-01-01T10:00:00Z",
                command=("nginx", "-g", "daemon off;"),
                mounts={"/data": "/srv/data", "/etc/hosts": "/var/lib/docker/containers/x/hosts"},
                cgroup=f"/docker/{WEB}",
                limits=Limits(50_000, memory=64 * MIB, pids=100),
                addresses=("172.17.0.2",),
            ),
            "host",
            chain=replace(CHAIN, name="web", missing=("3",), own=None),
        ),
    ),
    notes=("it does not run: what is told is what its engine wrote down",),
)
NOBODYS = Inspected(
    "pid/4711",
    "process",
    "host",
    containers=(
        InspectedContainer(
            Container("", "bash"),
            "host",
            4711,
            processes=PROCESSES[:1],
            namespaces=spaces(**dict.fromkeys(EVERY, "node")),
            facts=replace(FACTS, mounts=(mount("/", "ext4", "/dev/vda1"), *RUNTIME_MOUNTS[1:])),
            root=mount("/", "ext4", "/dev/vda1"),
        ),
    ),
)
BLIND = replace(
    POD,
    containers=(
        replace(
            POD_APP,
            processes=(),
            facts=None,
            root=None,
            cgroup=None,
            chain=None,
            namespaces=(),
            init=None,
            uncertain="its engine names a process that was started later",
        ),
    ),
    interfaces=(),
    routes=(),
    sockets=(),
    pod_cgroup=None,
    namespaces=(),
    gaps=(Gap("/proc/4711", "namespaces", "Permission denied"),),
    findings=(),
)
WORST = replace(
    POD,
    name=HOSTILE,
    node=HOSTILE,
    uid=HOSTILE,
    labels={HOSTILE: HOSTILE},
    containers=(
        replace(
            POD_APP,
            container=Container(
                HOSTILE,
                HOSTILE,
                HOSTILE,
                HOSTILE,
                state=HOSTILE,
                pod=HOSTILE,
                namespace=HOSTILE,
                role=HOSTILE,
                created_at=HOSTILE,
                runtime=HOSTILE,
                started_at=HOSTILE,
                netns=HOSTILE,
                command=(HOSTILE,),
                mounts={"/data": HOSTILE},
            ),
            uncertain=HOSTILE,
            processes=(
                replace(PROCESSES[0], comm=HOSTILE, command=(HOSTILE,), user=HOSTILE, state=HOSTILE),
                replace(PROCESSES[0], comm=HOSTILE, command=()),
            ),
            namespaces=tuple(
                replace(space, own=False, shared_with=(HOSTILE,), pins=(HOSTILE,)) for space in POD_APP.namespaces
            ),
            cgroup=replace(
                GROUP, path=HOSTILE, effective={"cpu": Effective(1, HOSTILE)}, io=(Io(HOSTILE, limits={HOSTILE: 1}),)
            ),
            chain=replace(CHAIN, name=HOSTILE, mountpoint=HOSTILE),
            facts=replace(
                FACTS,
                command=(HOSTILE,),
                mounts=tuple(mount(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE) for _ in range(9)),
                resolver=Resolver((HOSTILE,), (HOSTILE,), (HOSTILE,), HOSTILE),
                hosts={HOSTILE: (HOSTILE,)},
                privileges=replace(
                    privileges(), apparmor=HOSTILE, selinux=HOSTILE, seccomp=HOSTILE, capabilities={HOSTILE: (HOSTILE,)}
                ),
            ),
        ),
        POD_PAUSE,
    ),
    pod_cgroup=replace(POD_GROUP, path=HOSTILE),
    interfaces=(
        Interface(HOSTILE, HOSTILE, HOSTILE, 1, True, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE, (HOSTILE, HOSTILE)),
        Interface(HOSTILE, "veth", addresses=(HOSTILE,), peer=HOSTILE, peer_netns=HOSTILE, bridge=HOSTILE),
    ),
    routes=(HOSTILE,),
    sockets=(Socket(HOSTILE, HOSTILE, 1, HOSTILE, (1,), HOSTILE),),
    findings=(Finding(HOSTILE, "warning", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
    notes=(HOSTILE,),
    gaps=(Gap(HOSTILE, HOSTILE, HOSTILE),),
)
