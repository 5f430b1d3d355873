"""``netfs decode``: what a capture's flows look like, what is chosen of them, and how it ends."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.capture.flows.names import named
from netfs.capture.flows.suspicions import suspicions
from netfs.cluster.topology import Topology
from netfs.model.flows import Decoded, Flow, Suspicion, Warned
from netfs_cli import progress
from netfs_cli.progress import Progress
from netfs_cli.render.conversations import size
from netfs_cli.render.decode import Wish, render
from netfs_cli.render.ink import Ink
from tests import captures
from tests.cli.conftest import FakeCluster, Result
from tests.cli.test_startup import HEAVY, imported
from tests.unit.clusters import two_nodes
from tests.unit.flows import ESCAPE, NODE1, NODE2, POD_A, POD_B, POD_C, POD_D, VXLAN, both, capture, error, flow
from tests.unit.pages import assert_shown, commands_of, comparable, scenes
from tests.unit.test_capture_suspicions import FLOWS

Run = Callable[..., Result]
ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schema" / "netfs.decode.v1.json").read_text())

HEALTHY = capture(
    *both(POD_A, POD_B, "tcp", 40000, 80, packets=1200, bytes=1_234_567, tunnel=VXLAN),
    *both(POD_A, POD_B, "tcp", 40000, 80, packets=1200, bytes=1_174_567),
    *both(POD_C, POD_D, "icmp"),
)
_TAPS = ("node1/pod-a/eth0", "node1/cni0", "node1/eth0", "node2/eth0")
_SYN = flow(POD_A, POD_B, "tcp", 40001, 80, packets=4, syns=4, taps=tuple((tap, 2) for tap in _TAPS[:2]))
SICK = capture(
    _SYN,
    replace(_SYN, tunnels=(replace(VXLAN, vni=7),), taps=tuple((tap, 2) for tap in _TAPS[2:])),
    *both(
        POD_C,
        POD_D,
        "tcp",
        40000,
        443,
        packets=100,
        retransmissions=30,
        gaps=2,
        tunnel=VXLAN,
        ttl_least=62,
        ttl_most=64,
    ),
    *both(POD_A, "fd00:10:244:2::2", "udp", 40000, 53, vlans=(100,)),
    flow(POD_C, POD_B, "udp", 40000, 9000, packets=9, icmp_errors=9, too_big=3, too_big_mtu=1400, fragments=2),
    errors=(error(NODE2, 3, 4, NODE1, NODE2, "udp", dport=8472, mtu=1400, packets=3),),
    interfaces=_TAPS,
    warnings=(Warned(4711, "a block of 12 bytes is shorter than its header; passed over up to 4723"),),
    dropped=17,
)
HOSTILE = capture(
    *both(POD_A, POD_B, ESCAPE, taps=((ESCAPE, 6),)),
    file=ESCAPE,
    interfaces=(ESCAPE,),
    warnings=(Warned(0, ESCAPE),),
)
EMPTY = capture()


def judged(decoded: Decoded, topology: Topology | None = None) -> Decoded:
    decoded = named(decoded, topology) if topology is not None else decoded
    return replace(decoded, suspicions=suspicions(decoded, topology))


@pytest.mark.parametrize("wide", [False, True], ids=["text", "wide"])
@pytest.mark.parametrize("decoded", [HEALTHY, SICK, HOSTILE, EMPTY], ids=["healthy", "sick", "hostile", "empty"])
def test_a_capture_reads_as_agreed(decoded: Decoded, wide: bool, snapshot: SnapshotAssertion) -> None:
    assert render(judged(decoded), Ink(), width=96, wish=Wish(wide=wide)) == snapshot


@pytest.mark.parametrize("wide", [False, True], ids=["text", "wide"])
def test_a_capture_with_names_reads_as_agreed(wide: bool, snapshot: SnapshotAssertion) -> None:
    wish = Wish(wide=wide, sources=("file:a b.json",))
    assert render(judged(SICK, two_nodes()), Ink(), width=96, wish=wish) == snapshot


def test_what_is_left_out_is_said() -> None:
    shown = render(judged(SICK), Ink(), width=None, wish=Wish(limit=2, sort="time", left_out=7))
    assert "CONVERSATIONS  2 of 5, earliest first; --all shows them all; 7 flows of the file not asked for\n" in shown


@pytest.mark.parametrize("width", [72, 80, 110])
def test_text_fits_a_terminal(width: int) -> None:
    lines = render(judged(SICK, two_nodes()), Ink(), width=width, wish=Wish()).splitlines()
    assert max(len(line) for line in lines if "look: " not in line) <= width


def test_a_narrow_terminal_loses_bytes_only_where_it_must() -> None:
    heads = {width: render(judged(HEALTHY), Ink(), width=width, wish=Wish()).count("BACK") for width in (100, 79, 78)}
    assert heads == {100: 2, 79: 2, 78: 1}


@pytest.mark.parametrize("wide", [False, True], ids=["text", "wide"])
def test_no_name_speaks_to_the_terminal(wide: bool) -> None:
    told = (Suspicion(ESCAPE, ESCAPE, ESCAPE, (), ESCAPE), *judged(HOSTILE).suspicions)
    shown = render(replace(HOSTILE, suspicions=told), Ink(), width=96, wish=Wish(wide=wide, sources=(ESCAPE,)))
    assert all(char.isprintable() or char == "\n" for char in shown)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (99_600, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (117_000_000, "117 MB"),
        (10**12, "1.0 TB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes_are_said_as_networks_count(number: int, said: str) -> None:
    assert size(number) == said


def test_a_conversation_begins_with_who_spoke_first() -> None:
    asked, answered = both(POD_A, POD_B, "tcp", 40000, 80)
    shown = render(capture(replace(answered, bytes=10_000), asked), Ink(), width=None, wish=Wish())
    (line,) = [line for line in shown.splitlines() if POD_A in line]
    assert line.split() == [f"{POD_A}:40000", f"{POD_B}:80", "tcp", "6", "6", "600", "B", "10.0", "kB"]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Decoded], list[dict[str, Any]]]:
    """``decoded(SICK)``: every file is this one; answers what was asked for."""

    def answer(known: Decoded) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def decode(file: str, **wish: Any) -> Decoded:
            asked.append({"file": file, **wish})
            cluster = wish["cluster"]
            return judged(known, cluster.topology if cluster is not None else None)

        monkeypatch.setitem(vars(netfs), "decode", decode)
        return asked

    return answer


Answer = Callable[[Decoded], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (HEALTHY, 0),
        (SICK, 1),
        (EMPTY, 0),
        (capture(*both(POD_A, POD_B, packets=100, retransmissions=50)), 0),
        (replace(HEALTHY, warnings=(Warned(9, "cut off"),)), 0),
        (replace(EMPTY, warnings=(Warned(24, "cut off"),)), 3),
    ],
    ids=["healthy", "sick", "empty", "warnings alone", "damaged", "nothing readable"],
)
@pytest.mark.parametrize("form", ["text", "wide", "json", "yaml"])
def test_status_is_what_was_found(run: Run, decoded: Answer, known: Decoded, status: int, form: str) -> None:
    decoded(known)
    result = run("decode", "x.pcap", "-o", form)
    assert (result.status, result.err) == (status, "")
    assert result.out


def test_no_node_is_read_unasked(run: Run, decoded: Answer, cluster: FakeCluster) -> None:
    (asked,) = [decoded(SICK)]
    assert run("decode", "x.pcap", "--pod", POD_A, "--node", NODE1, "--vni", "7").status == 1
    assert cluster.loaded == ()
    assert asked[0]["cluster"] is None


@pytest.mark.parametrize(
    "arguments", [("--source", "lab"), ("--pod", "pod-a"), ("--node", "node1")], ids=lambda arguments: arguments[0]
)
def test_who_asks_for_names_has_nodes_read(
    run: Run, decoded: Answer, cluster: FakeCluster, arguments: tuple[str, str]
) -> None:
    decoded(SICK)
    result = run("decode", "x.pcap", *arguments)
    assert (result.status, result.err) == (1, "")
    assert "pod-a:40001" in result.out
    assert cluster.loaded == (*(("lab",) if arguments[0] == "--source" else ()), None)


def test_the_environment_names_a_source(
    run: Run, decoded: Answer, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded(SICK)
    monkeypatch.setenv("NETFS_SOURCE", "file:a.json")
    assert "pod-a:40001" in run("decode", "x.pcap").out
    assert cluster.loaded == ("file:a.json", None)


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        ((), 7),
        (("--vni", "7"), 1),
        (("--proto", "UDP"), 3),
        (("--pod", "pod-d"), 2),
        (("--node", "node1", "--proto", "tcp"), 4),
        (("--filter", "port 9000"), 1),
        (("--limit", "3"), 3),
        (("--all",), 7),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_json_holds_what_was_asked_for(
    run: Run, decoded: Answer, cluster: FakeCluster, arguments: tuple[str, ...], ends: int
) -> None:
    decoded(SICK)
    shown = json.loads(run("decode", "x.pcap", "-o", "json", *arguments).out)
    Draft202012Validator(SCHEMA).validate(shown)
    assert next(iter(shown)) == "schema"
    assert len(shown["flows"]) == ends
    assert shown["packets"] == SICK.packets


def test_a_suspicion_about_other_flows_is_not_shown(run: Run, decoded: Answer) -> None:
    decoded(SICK)
    shown = json.loads(run("decode", "x.pcap", "-o", "json", "--proto", "tcp").out)
    assert {each["slug"] for each in shown["suspicions"]} >= {"syn-unanswered", "retransmissions", "recording-dropped"}
    result = run("decode", "x.pcap", "-o", "json", "--vni", "1")
    assert "syn-unanswered" not in {each["slug"] for each in json.loads(result.out)["suspicions"]}


def test_ports_are_handed_on(run: Run, decoded: Answer) -> None:
    asked = decoded(HEALTHY)
    assert run("decode", "-", "--port", "4790", "--port", "8473").status == 0
    assert (asked[0]["file"], asked[0]["ports"]) == ("-", (4790, 8473))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--limit", "0"),
        ("--limit", "3", "--all"),
        ("--port", "70000"),
        ("--vni", "x"),
        ("--sort", "name"),
        ("--filter", "host and"),
        ("--filter", "ether host 02:42:00:00:00:01"),
        ("--pod", "pod-z"),
        ("--node", "pod-a"),
        ("-w", "answer.pdf"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_is_usage(
    run: Run, decoded: Answer, cluster: FakeCluster, arguments: tuple[str, ...]
) -> None:
    asked = decoded(HEALTHY)
    result = run("decode", "x.pcap", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert not asked, "who errs is told before a large file is read"


@pytest.mark.parametrize(("suffix", "begins"), [(".json", "{"), (".yaml", "schema: "), (".txt", "node1.pcapng")])
def test_the_answer_goes_to_a_file(run: Run, decoded: Answer, tmp_path: Path, suffix: str, begins: str) -> None:
    decoded(SICK)
    target = tmp_path / f"answer{suffix}"
    assert run("decode", "x.pcap", "-w", str(target)).out == ""
    assert target.read_text().startswith(begins)


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_is_decoded(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"small.{form}"
    talks = captures.vxlan_capture(path, 400, flows=8, format=form, interfaces=("node1/eth0", "node2/eth0"))
    shown = json.loads(run("decode", str(path), "-o", "json").out)
    Draft202012Validator(SCHEMA).validate(shown)
    assert (shown["format"], shown["packets"]) == (form, 400)
    assert sorted(each["packets"] for each in shown["flows"]) == sorted(each.packets for each in talks)
    assert {each["tunnels"][0]["vni"] for each in shown["flows"]} == {1}
    text = run("decode", str(path)).out
    assert text.startswith(f"{path}\n  {form}, 400 packets, ")
    assert "vxlan 1 between 192.168.56.1 and 192.168.56.2, port 8472" in text


def test_stdin_is_decoded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.pcap"
    captures.vxlan_capture(path, 50, flows=2)
    kept = os.dup(0)
    with path.open(encoding="latin-1") as file:
        try:
            os.dup2(file.fileno(), 0)
            monkeypatch.setattr(sys, "stdin", file)
            result = run("decode", "-")
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    assert result.out.startswith("stdin\n  pcap, 50 packets")


def test_a_capture_that_is_cut_off_gives_what_is_readable(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    captures.vxlan_capture(path, 50, flows=2)
    path.write_bytes(path.read_bytes()[:-10])
    result = run("decode", str(path))
    assert ("49 packets" in result.out, result.status) == (True, 0)
    assert "WARNINGS\n  byte " in result.out
    assert "recording-damaged" in result.out


@pytest.mark.parametrize("what", ["missing", "empty", "text", "folder"])
def test_what_is_no_capture_is_one_line(run: Run, tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.pcap"
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(b"" if what == "empty" else b"no capture at all, but a text\n" * 9)
    result = run("decode", str(path))
    assert (result.status, result.out, result.err.count("\n")) == (3, "", 1)
    assert str(path) in result.err


def test_a_hostile_interface_is_escaped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    captures.vxlan_capture(path, 4, flows=2, format="pcapng", interfaces=("eth0\x1b[2J", "b"))
    result = run("decode", str(path), "-o", "wide")
    assert "\\x1b[2J" in result.out
    assert "\x1b" not in result.out + run("decode", str(path), "-o", "json").out


def test_a_header_alone_is_an_empty_capture(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    result = run("decode", str(path))
    assert result.status == 0
    assert "0 packets" in result.out


SCENES = list(scenes((ROOT / "docs" / "decode.md").read_text()))


@pytest.mark.parametrize(("line", "shown"), SCENES, ids=[line for line, _ in SCENES])
def test_the_page_shows_what_is_printed(run: Run, line: str, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (arguments,) = commands_of(line)
    result = run(*arguments)
    assert (result.status, result.err) == (1, "")
    assert_shown(line, shown, [each for each in map(comparable, result.out.splitlines()) if each])


@given(
    flows=st.lists(FLOWS, max_size=8),
    form=st.sampled_from(["text", "wide"]),
    width=st.sampled_from([None, 72, 110]),
    limit=st.sampled_from([None, 1, 3]),
)
def test_any_flows_are_drawn(flows: list[Flow], form: str, width: int | None, limit: int | None) -> None:
    shown = render(judged(capture(*flows)), Ink(), width=width, wish=Wish(wide=form == "wide", limit=limit))
    assert shown.endswith("\n")
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_a_capture_is_decoded_with_what_it_needs_alone() -> None:
    modules = imported("decode", str(ROOT / "tests/unit/data/captures/wrong-vni.pcap"))
    assert (
        not {*HEAVY, "msgspec", "netfs.cluster", "netfs.sources", "netfs.model.snapshot", "netfs.capture.filter"}
        & modules
    )


class Terminal:
    """A stderr that somebody watches."""

    def __init__(self) -> None:
        self.shown = ""

    def write(self, text: str) -> int:
        self.shown += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    encoding = "utf-8"


@pytest.mark.parametrize(("seconds", "drawn"), [(0.5, False), (1.5, True)])
def test_who_waits_sees_a_bar(monkeypatch: pytest.MonkeyPatch, seconds: float, drawn: bool) -> None:
    terminal = Terminal()
    clock: Sequence[float] = (0.0, seconds, seconds, seconds)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "monotonic", iter(clock).__next__)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(f"[red]{ESCAPE}") as bar:
        bar(10, 100)
    assert bool(terminal.shown) == drawn
    assert ESCAPE not in terminal.shown
