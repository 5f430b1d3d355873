"""Containers, namespaces and groups that are born and die while they are read: no crash, and never a wrong join."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.kernel.cgroup_place import as_root
from tests.kernel.churn_place import machine
from tests.unit.docker_store import hexadecimal

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    for name in ("unshare", "mount"):
        require_program(name)


WITNESSES = """
words = [f"witness-{number}" for number in range(10)]
witnesses = {identity(word): container(word) for word in words}
for word in words[:5]: written(word, witnesses[identity(word)][0])
own = {pids[0]: {kind: os.stat(f"/proc/{pids[0]}/ns/{kind}").st_ino for kind in ("net", "uts", "ipc", "mnt")}
       for pids in witnesses.values()}
held = {pid for pids in witnesses.values() for pid in pids}
wrong = []

def expect(true, *what):
    if not true: wrong.append(repr(what)[:600])

def judge(placed, by_pid):
    # Every witness has its own processes and nobody else's; what is of the storm has one name.
    told = {tuple(sorted(each.pids)): each for each in placed}
    for name, pids in witnesses.items():
        each = told.get(tuple(sorted(pids)))
        near = [each for each in placed if {*pids} & {*each.pids}]
        expect(each is not None and each.init == pids[0], "witness", name, pids, near)
        if each is not None and (GROUPS or each.by != "namespace"):
            expect(each.container.id == name, "name", name, each)
    for each in placed:
        expect(each.container.id in witnesses or not held & {*each.pids} or not GROUPS and each.by == "namespace",
               "taken", each)
        if each.by == "cgroup" and each.container.id not in witnesses:
            comms = {by_pid[pid].comm for pid in each.pids} - {"storm"}
            expect(comms <= {each.container.id[:15]}, "mixed", each, comms)

def judge_namespaces(namespaces, placed):
    by_id = {each.id: each for each in namespaces}
    for name, pids in witnesses.items():
        each = next((each for each in placed if {*each.pids} == {*pids}), None)
        for kind, inode in own[pids[0]].items():
            space = by_id.get(inode)
            expect(space is not None and {*space.pids} == {*pids}, "namespace", kind, name, space)
            if space is not None and each is not None:
                expect(space.containers == (each.container.called,), "whose", space, each)
"""

STORM = """
def storm(letter):
    def work():
        named("storm")
        os.nice(5)
        if os.fork(): return
        for number in range(10**9):
            with contextlib.suppress(OSError), open("/proc/sys/kernel/ns_last_pid", "w") as file: file.write("300")
            word = f"{letter}{number}"
            def born():
                enter(word)
                named(identity(word)[:15])
                with contextlib.suppress(OSError):
                    unshare(OWN if number % 4 == 0 else NS | UTS if number % 2 else PID)
                if os.fork() == 0: time.sleep(0.01 * random.random()); os._exit(0)
                if number % 3: time.sleep(0.02 * random.random())
            kids = []
            for each in range(3):
                pid = os.fork()
                if not pid:
                    with contextlib.suppress(OSError): born()
                    os._exit(0)
                kids.append(pid)
            pin = Path(f"/run/{word}")
            pin.touch()
            pinned = libc.mount(f"/proc/{kids[0]}/ns/uts".encode(), bytes(pin), None, 4096, None) == 0
            for pid in kids: os.waitpid(pid, 0)
            if pinned: libc.umount2(bytes(pin), 2)
            pin.unlink()
            left(word)
            Path(f"/run/born-{letter}").write_text(str(3 * number))
    child(work)
"""


def test_witnesses_keep_what_is_theirs_in_a_storm() -> None:
    rounds, seen, born, wrong, complaints, statuses = machine(
        WITNESSES
        + STORM
        + """
for letter in "ab": storm(letter)
rounds, seen, complaints, statuses = 0, set(), [], set()
until = time.monotonic() + 1.2
while time.monotonic() < until or rounds < 3:
    rounds += 1
    containers = netfs.containers("local")
    placed = containers.placed
    node = containers.nodes[0]
    judge(placed, node.by_pid)
    seen |= {each.container.id for each in placed}
    judge_namespaces(containers.namespaces(open_files=rounds % 2 == 0).namespaces, placed)
    tree = containers.cgroups(detail=rounds % 2 == 0)
    target = random.choice([each.container.id for each in placed if each.container.id])
    found = containers.inspect(target)
    expect([each.container.id for each in found.containers] == [target], "inspected", target, found.containers)
node = os.uname().nodename
for words in ("namespaces --files", "cgroups -o json", f"inspect {words[0]}", f"inspect node/{node}"):
    status, out, err = ask(words)
    statuses.add(status)
    if "Traceback" in err or "defect" in err or status == 2: complaints.append([words, err])
born = sum(int(path.read_text()) for path in Path("/run").glob("born-*"))
show([rounds, len(seen), born, wrong[:5], complaints, sorted(statuses)])
""",
        mount="mount -t tmpfs tmpfs /run",
    )
    assert (wrong, complaints) == ([], [])
    assert rounds >= 3
    assert seen > (10 if os.geteuid() == 0 else 9)
    assert born > 50
    assert {*statuses} <= {0, 1, 3}


REUSED = """
ANOTHER = "-".join(("an", "other"))  # in nobody's command line
def bystander():
    leave(); named(ANOTHER); os.chdir("/usr")
def boxed():
    bystander(); unshare(OWN)
def of_another():
    enter("other"); named(ANOTHER); unshare(OWN)
"""


def test_a_number_that_was_given_again_is_not_the_dead_containers() -> None:
    """Docker was killed before it could write down that the container ended: long ago, or just now."""
    answers = machine(
        REUSED
        + """
answers = {}
for impostor, ago in ((bystander, 60), (boxed, 60), (of_another, 60), (bystander, 0), (of_another, 0)):
    word = f"{impostor.__name__}-{ago}"
    first, second = container(word)
    written(word, first, started=time.time() - ago)
    os.kill(second, signal.SIGKILL)
    time.sleep(0.02)  # longer than a tick, by which a start is told
    end(first)
    again(first, impostor)
    containers = netfs.containers("local")
    (dead,) = [each for each in containers.placed if each.container.id == identity(word)]
    answers[word] = [dead.pids, ANOTHER in repr(containers.inspect(identity(word))), dead.uncertain]
    end(first)
show(answers)
"""
    )
    if os.geteuid() != 0:  # an ordinary user has no groups that tell whose the process is
        del answers["of_another-0"]
    assert [(word, *told[:2]) for word, told in answers.items()] == [(word, [], False) for word in answers]
    assert "mounts of the node" in answers["bystander-0"][2]
    assert "not known to have been started" in answers["boxed-60"][2]


def test_a_number_that_is_given_again_between_two_readings() -> None:
    """The processes were read, then a container's first one ended and its number became another's."""
    answers = machine(
        REUSED
        + """
answers = []
for round in range(3):
    word = f"web{round}"
    first, second = container(word)
    written(word, first)
    spaces = {os.stat(f"/proc/{first}/ns/{kind}").st_ino for kind in ("net", "uts", "ipc", "mnt")}
    containers = netfs.containers("local")
    containers.placed
    time.sleep(0.02)
    end(first)
    again(first, [boxed, of_another, bystander][round])
    theirs = {os.stat(f"/proc/{first}/ns/{kind}").st_ino for kind in ("net", "uts", "ipc", "mnt")}
    found = containers.inspect(identity(word))
    read = containers.namespaces(open_files=True)
    (shown,) = found.containers
    answers.append([
        ANOTHER in repr(found), shown.facts, [gap.reason for gap in found.gaps if gap.what == "process"],
        [each.type for each in shown.namespaces if each.id in theirs - spaces],
        [each for each in found.sockets if first in each.pids],
        [use for use in shown.processes if use.pid == first],
        [each.type for each in read.namespaces if first in each.pids and each.id in theirs - spaces],
    ])
    end(first)
show(answers)
"""
    )
    gone = ["it ended, and its number is another's now"]
    assert answers == [[False, None, gone, [], [], [], []]] * 3


def test_a_container_whose_processes_end_one_after_another_while_it_is_inspected() -> None:
    """At some call of the kernel one ends, at the next ones another; their numbers go to others at once."""
    calls, answers, failures = machine(
        REUSED
        + """
names = ("open", "read", "readlink", "listdir", "stat", "scandir")
real = {name: getattr(os, name) for name in names}
class Hook:
    # Something happens before the n-th call.
    def __init__(self, at): self.at, self.count = at, 0
    def __enter__(self):
        for name in names: setattr(os, name, self.wrapped(real[name]))
        return self
    def __exit__(self, *error):
        for name in names: setattr(os, name, real[name])
    def wrapped(self, call):
        def made(*args, **words):
            self.count += 1
            happens = self.at.pop(self.count, None)
            if happens:
                self.__exit__(); happens(); self.__enter__()
            return call(*args, **words)
        return made

def ask_all(word):
    containers = netfs.containers("local")
    try:
        found = containers.inspect(identity(word))
    except EndpointError:
        found = None  # all had ended before anything was read
    containers.namespaces()
    if found and found.containers[0].cgroup: containers.cgroups(identity(word))
    return found

kept = container("kept", 2)
ask_all("kept")
with Hook({}) as hook: ask_all("kept")
calls, failures, answers = hook.count, [], 0
random.seed(6)
for step in range(7):
    word = f"web{step}"
    pids = container(word, 2)
    if step % 2: written(word, pids[0])
    def replaced(pid):
        def work():
            if pid == pids[0]:
                time.sleep(0.02)
                # Where no group tells, only a process with the node's mounts is known to be no container's.
                end(pid); again(pid, boxed if GROUPS else bystander)
            else:
                os.kill(pid, signal.SIGKILL)
        return work
    start = calls * step // 8 + random.randrange(calls // 8)
    order = random.sample(pids, 3)
    try:
        with Hook({start + 1 + 9 * n: replaced(pid) for n, pid in enumerate(order)}):
            found = ask_all(word)
        answers += 1
        if found and ANOTHER in repr(found): failures.append([step, ANOTHER, repr(found)[:500]])
    except Exception:  # any is a failure of what is tested, and told with its step
        import traceback
        failures.append([step, traceback.format_exc()[-900:]])
    end(pids[0])
show([calls, answers, failures])
"""
    )
    assert failures == []
    assert (answers, calls > 100) == (7, True)


FAULTS = """
import builtins, re
from netfs.collect.cgroups.read import cgroups
from netfs.collect.facts import facts
from netfs.collect.namespaces.read import namespaces
from netfs.collect.processes import processes
from netfs.collect.sockets import owners
from netfs.container.process_tree import tree

ERRORS = ("EACCES", "ENOENT", "ESRCH", "EIO", "EMFILE", "EINVAL", "ENODEV", "EOPNOTSUPP")
CALLS = {name: getattr(os, name) for name in ("open", "read", "readlink", "listdir", "stat", "lstat", "scandir")}
OPEN = builtins.open
FORMS = (("[0-9a-f]{64}", "ID"), ("[0-9A-F]{26}", "LINK"), ("[0-9]+", "N"))

def kind(name, path, words):
    # What a call is about: one word for all processes, groups, containers.
    try:
        if isinstance(path, int):
            text = CALLS["readlink"](f"/proc/self/fd/{path}")
        else:
            text = os.fsdecode(path)
            if not text.startswith("/") and words.get("dir_fd") is not None:
                text = CALLS["readlink"](f"/proc/self/fd/{words['dir_fd']}") + "/" + text
    except OSError:
        return None
    if not text.startswith(("/proc", "/sys", "/var/lib", "/run", "/etc")):
        return None
    if text.startswith("/sys/fs/cgroup/"):
        last = text.rpartition("/")[2]
        text = "/sys/fs/cgroup/" + (last if re.fullmatch("[a-z_]+([.][a-z_]+)+", last) else "GROUP")
    for form, word in FORMS:
        text = re.sub(form, word, text)
    return f"{name} {text}"

class Faults:
    # All calls of one kind fail; "": none does, and the kinds are noted.
    def __init__(self, which="", code=0):
        self.which, self.code, self.seen = which, code, set()
    def wrapped(self, name, call):
        def made(path=".", *args, **words):
            found = kind(name, path, words)
            self.seen.add(found)
            if found is not None and found == self.which:
                raise OSError(self.code, os.strerror(self.code), path)
            return call(path, *args, **words)
        return made
    def __enter__(self):
        for name, call in CALLS.items(): setattr(os, name, self.wrapped(name, call))
        builtins.open = self.wrapped("file", OPEN)
        return self
    def __exit__(self, *error):
        for name, call in CALLS.items(): setattr(os, name, call)
        builtins.open = OPEN

first, second = container("web")
written("web", first)
groups = {path for path in processes().processes[-1].cgroups.values()} - {"/"}

def collected():
    # The gaps of everything that is read of the kernel.
    table = processes()
    known = {process.pid: process for process in table.processes}
    gaps = [*table.gaps]
    if first in known:
        gaps += facts(known[first]).gaps
        tree([first], known)
    owners(table.processes)
    return gaps + [*namespaces(table.processes, open_files=True).gaps, *cgroups(within=groups).gaps]

def tried(read, times):
    # (kinds of calls, those that no gap told of, what was raised), each kind with so many of the errors, in turn.
    usual = {repr(gap) for gap in read()}
    with Faults() as whole: read()
    kinds, silent, raised = sorted(whole.seen - {None}), [], []
    for place, which in enumerate(kinds):
        for turn in range(times):
            code = ERRORS[(place + turn) % len(ERRORS)]
            try:
                with Faults(which, getattr(errno, code)): gaps = {repr(gap) for gap in read()}
                if not gaps - usual: silent.append([which, code])
            except Exception as error:  # none may come out: each is told
                raised.append([which, code, repr(error)])
    return kinds, silent, raised
"""
VITAL = {"open /proc", "listdir /proc"}
"""Without them there are no processes to be told of: OSError says so."""


def test_an_error_of_the_kernel_at_any_call_is_a_gap() -> None:
    kinds, silent, raised = machine(FAULTS + "show(tried(collected, 1))")
    assert [each for each in raised if each[0] not in VITAL] == []
    assert len(kinds) > 50
    assert len(silent) < len(kinds) / 2


@pytest.mark.soak
def test_each_error_of_the_kernel_at_each_call_is_a_gap() -> None:
    _, _, raised = machine(FAULTS + "show(tried(collected, len(ERRORS)))", timeout=600)
    assert [each for each in raised if each[0] not in VITAL] == []


def test_a_procfs_that_shows_less() -> None:
    """As an ordinary user of a host that keeps the processes of others from him; here one without capabilities."""
    answers = machine(
        """
pids = container("web")
written("web", pids[0])
ask("inspect pid/1")  # everything is imported
def look():
    with contextlib.suppress(PermissionError):  # who is of the kernel's group 0 is shown all
        os.setgroups([]); os.setresgid(65534, 65534, 65534)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
    containers = netfs.containers("local")
    gaps = [gap.reason for gap in containers.namespaces(open_files=True).gaps + containers.cgroups(detail=False).gaps]
    with contextlib.suppress(EndpointError):
        containers.inspect(identity("web"))
    said = [ask(words) for words in ("namespaces --files", f"inspect {identity('web')}", "inspect pid/1", "cgroups")]
    return [sorted({status for status, _, _ in said}), complaints(said),
            [each.container.id for each in containers.placed if {*pids} & {*each.pids}],
            any("hidepid" in gap for gap in gaps)]
answers = {}
for option in ("hidepid=1", "hidepid=2", "subset=pid"):
    assert os.system(f"mount -t proc -o {option} proc /proc") == 0
    answers[option] = apart(look)
show(answers)
"""
    )
    for option, (statuses, complaints, placed, told) in answers.items():
        assert complaints == []
        assert {*statuses} <= {0, 1, 2, 3}
        assert placed in ([], [hexadecimal("container web")])
        assert told == option.startswith("hidepid")


@as_root
def test_another_users_containers() -> None:
    answer = machine(
        WITNESSES
        + """
ask("inspect witness-0")  # everything is imported
def look():
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
    containers = netfs.containers("local")
    found = containers.inspect(identity(words[7]))
    gaps = {gap.what for gap in containers.namespaces(open_files=True).gaps + containers.cgroups().gaps + found.gaps}
    right = [each.container.id for each in containers.placed if [*each.pids] == witnesses.get(each.container.id)]
    said = [ask(line) for line in ("namespaces --files", f"inspect {identity(words[7])}", "cgroups", "inspect pid/1")]
    return [sorted(right) == sorted(witnesses), sorted(gaps), [status for status, _, _ in said], complaints(said)]
show(apart(look))
"""
    )
    right, gaps, statuses, complaints = answer
    assert (right, complaints) == (True, [])
    assert {"namespaces by process", "open namespaces"} <= {*gaps}
    assert {*statuses} <= {0, 1, 3}
