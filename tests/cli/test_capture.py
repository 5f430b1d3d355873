"""``netfs capture``: what is asked of the library, where packets go, and what is told at the end."""

from __future__ import annotations

import json
import os
import pty
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netfs.capture import record as verb
from netfs.capture.recording import Heard, Progress, RecordWish, Writer
from netfs.errors import SourceError
from netfs.model.gaps import Gap
from netfs.model.live import TapRef
from netfs.model.recorded import Missed, Recorded, TapCount
from netfs.sources import reach
from netfs_cli.main import main
from netfs_cli.render import capture as render
from netfs_cli.render.ink import Ink
from tests.cli.conftest import FakeCluster, Result
from tests.unit.probe_frames import ether, ip, kit, marker, probe, vxlan

Run = Callable[..., Result]

CNI0 = TapRef("node1", "node1", 1, "cni0", 3)
ETH0 = TapRef("node1", "pod-a", 2, "eth0", 2)
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "netfs.capture.v1.json"
AT = 1_700_000_000_123_456_789


def summary(**fields: Any) -> Recorded:
    told: dict[str, Any] = {
        "packets": 1234,
        "bytes": 5_600_000,
        "seconds": 12.34,
        "first_ns": AT,
        "last_ns": AT + 9,
        "taps": (TapCount(CNI0, 1230, 5_599_000), TapCount(ETH0, 4, 1000)),
        "silent": 3,
    }
    return Recorded(**told | fields)


class Library:
    """``netfs.capture.record.record``, told what to do."""

    def __init__(self) -> None:
        self.wish: RecordWish | None = None
        self.answer: Recorded | Exception = summary()
        self.packets: list[tuple[int, bytes, str]] = []
        self.meanwhile: Callable[[Callable[[Progress], bool]], None] = lambda _: None

    def __call__(
        self,
        reaches: Any,
        topology: Any,
        wish: RecordWish,
        writer: Callable[[], Writer],
        until: Callable[[Progress], bool],
    ) -> Recorded:
        self.wish = wish
        if isinstance(self.answer, Exception):
            raise self.answer
        taken = writer()
        for tap, linktype in ((CNI0, 1), (ETH0, 101)):
            taken.add_interface(tap.name, linktype, wish.snaplen, "a device")
        for number, data, way in self.packets:
            taken.write(number, AT, data, len(data), way=way)
        taken.flush()
        self.meanwhile(until)
        return self.answer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> Iterator[Library]:
    made = Library()
    monkeypatch.setattr(cluster, "uris", (), raising=False)
    monkeypatch.setattr(verb, "record", made)
    monkeypatch.setattr(reach, "reach", lambda snapshots, uris: {})
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield made
    time.tzset()


TABLE = """\
1,234 packets, 5.6 MB, 12.3 s{place}

TAP                PACKETS   BYTES
node1/cni0         1230      5599000
node1/pod-a/eth0   4         1000
3 more devices heard nothing
"""


def test_options_become_a_wish(run: Run, library: Library, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pcapng")
    words = ["--node", "node1", "--node", "node2", "--pod", "team/a", "--port", "9999", "-n", "team"]
    words += ["-c", "7", "--duration", "90s", "--snaplen", "96"]
    assert run("capture", *words, "--filter", "tcp port 80", "-w", path).status == 0
    assert library.wish == RecordWish(
        nodes=("node1", "node2"),
        pods=("team/a",),
        namespace="team",
        expression="tcp port 80",
        ports=(9999,),
        count=7,
        duration_s=90.0,
        snaplen=96,
    )


def test_a_file_takes_the_packets_and_stdout_the_summary(run: Run, library: Library, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    library.packets = [(0, b"frame-of-cni0", "in")]
    result = run("capture", "-w", str(path))
    assert result == Result(0, TABLE.format(place=f", written to {path}"), "")
    content = path.read_bytes()
    assert content[:4] == struct.pack(">I", 0x0A0D0D0A)
    assert b"node1/cni0" in content
    assert b"node1/pod-a/eth0" in content
    assert b"frame-of-cni0" in content


def test_stdout_takes_the_packets_alone(
    library: Library, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.packets = [(0, b"frame\xff", "in")]
    monkeypatch.setattr("sys.argv", ["netfs", "capture", "-w", "-"])
    assert main() == 0
    captured = capfdbinary.readouterr()
    assert captured.out.startswith(b"\x0a\x0d\x0d\x0a")
    assert b"frame\xff" in captured.out
    assert captured.err.decode() == TABLE.format(place="")


def test_without_a_file_each_packet_is_a_line(run: Run, library: Library) -> None:
    tunnelled = bytes(ether(vxlan(ether(probe(marker("tcp"))))))
    library.packets = [(0, tunnelled, "out"), (1, bytes(probe(marker("icmp", 6))), "in")]
    result = run("capture")
    assert result.out == (
        "22:13:20.123456 node1/cni0 out  10.244.1.2:40000 > 10.244.2.2:80 tcp syn, 100 bytes, "
        "in vxlan vni 1 192.168.52.11 > 192.168.52.12\n"
        "22:13:20.123456 node1/pod-a/eth0 in  fd00:244:1::2 > fd00:244:2::2 icmp echo-request, 100 bytes\n"
    )
    assert result.err == TABLE.format(place="")


def test_json_counts_and_fits_its_schema(run: Run, library: Library) -> None:
    library.packets = [(0, b"frame", "in")]
    library.answer = summary(missed=(Missed("node1", "pod-a", 5),), gaps=(Gap("node2", "packets", "it died"),))
    result = run("capture", "-o", "json")
    document = json.loads(result.out)
    assert (document["schema"], document["packets"], document["file"]) == ("netfs.capture/v1", 1234, None)
    assert document["taps"][1]["tap"]["netns"] == "pod-a"
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)


def test_what_was_missed_is_told() -> None:
    lines = render.render(
        summary(
            taps=(),
            silent=0,
            missed=(Missed("node1", "node1", 1), Missed("node1", "pod-a", 5)),
            gaps=(Gap("node2\x1b[2J", "packets", "it died"),),
        ),
        Ink(),
    ).splitlines()
    assert lines[1:] == [
        "! node1: 1 packet missed: they came faster than they were taken",
        "! node1/pod-a: 5 packets missed: they came faster than they were taken",
        "! node2\\x1b[2J: not listened to: it died",
    ]


def test_the_counter_names_the_busiest_and_fits_its_terminal() -> None:
    taps = [TapRef("n", "n", 1, f"eth{number}", number) for number in range(5)]
    devices = {("n", 1, tap.index): Heard(tap, 0, tap.index * 1000) for tap in taps}
    text = render.counter(Progress(10_000, 999, 3.2, None, None, devices), 200)
    assert text == "10,000 packets, 999 bytes, 3 s  n/eth4 4,000  n/eth3 3,000  n/eth2 2,000  and 1 more"
    assert len(render.counter(Progress(10_000, 999, 3.2, None, None, devices), 40)) == 39
    silent = Progress(devices={key: Heard(one.tap, 0) for key, one in devices.items()})
    assert render.counter(silent, 200) == "5 devices are listened to, 0 s; Ctrl-C ends it"


def test_a_hostile_name_does_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    lines = render.Lines(sys.stdout, ())
    lines.add_interface("n/\x1b[2Jx", 1, 0, "")
    lines.write(0, AT, b"\x00" * 60, 60, way="in")
    assert "\x1b" not in capsys.readouterr().out


@pytest.fixture
def heeded(number: int) -> Iterator[None]:
    """A signal that is not ignored: nohup(1) has SIGHUP ignored, and whoever begins in the background SIGINT."""
    ignored = signal.getsignal(number) == signal.SIG_IGN
    if ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    if ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_recording_well(run: Run, library: Library, number: int) -> None:
    before = signal.getsignal(number)
    stops: list[bool] = []

    def meanwhile(until: Callable[[Progress], bool]) -> None:
        stops.append(until(Progress()))
        os.kill(os.getpid(), number)
        stops.append(until(Progress()))

    library.meanwhile = meanwhile
    assert run("capture", "-o", "json").status == 0
    assert stops == [False, True]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("packets", "told"), [(0, "0 devices are listened to, 0 s; Ctrl-C ends it\r\n"), (5, "")])
def test_who_waits_for_the_first_line_is_told_that_it_listens(
    run: Run, library: Library, monkeypatch: pytest.MonkeyPatch, packets: int, told: str
) -> None:
    def meanwhile(until: Callable[[Progress], bool]) -> None:
        until(Progress(packets=packets))
        until(Progress())

    library.meanwhile = meanwhile
    leader, follower = pty.openpty()
    with open(follower, "w", encoding="utf-8") as terminal, open(leader, "rb", buffering=0) as reader:
        monkeypatch.setattr("sys.stderr", terminal)
        assert run("capture", "--no-color").status == 0
        terminal.flush()
        shown = reader.read(4096).decode()
    assert shown.partition("1,234")[0] == told


def test_the_second_interrupt_ends_at_once(run: Run, library: Library) -> None:
    def meanwhile(until: Callable[[Progress], bool]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    library.meanwhile = meanwhile
    assert run("capture", "-o", "json").status == 130


def test_a_source_that_cannot_be_heard_leaves_an_older_file_as_it_was(
    run: Run, library: Library, tmp_path: Path
) -> None:
    path = tmp_path / "x.pcapng"
    path.write_text("yesterday's")
    library.answer = SourceError("cannot be probed: it is a saved snapshot", where="node1")
    result = run("capture", "-w", str(path))
    assert result == Result(3, "", "netfs: node1: cannot be probed: it is a saved snapshot\n")
    assert path.read_text() == "yesterday's"


def test_a_place_that_takes_no_file_is_said(run: Run, library: Library, tmp_path: Path) -> None:
    result = run("capture", "-w", str(tmp_path / "no" / "x.pcapng"))
    assert (result.status, result.out) == (3, "")
    assert "No such file or directory" in result.err


def test_packets_are_not_written_to_a_terminal(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    leader, follower = pty.openpty()
    with open(follower, "w", encoding="utf-8") as terminal, open(leader, "rb", buffering=0):
        monkeypatch.setattr("sys.stdout", terminal)
        result = run("capture", "-w", "-")
    assert result.status == 2
    assert "wireshark" in result.err
    assert cluster.loaded == ()


def test_arp_and_what_is_not_known_have_a_line() -> None:
    from netfs.capture.probe import shown

    ends = "02000000000a" + "0af40102" + "000000000000" + "0af40101"
    asks = bytes.fromhex("ffffffffffff" + "02000000000a" + "0806" + "0001080006040001" + ends)
    answers = asks[:21] + b"\x02" + asks[22:]
    assert shown.line(asks, 42) == "arp who-has 10.244.1.1 tell 10.244.1.2"
    assert shown.line(answers, 42) == "arp 10.244.1.2 is-at 02:00:00:00:00:0a"
    assert shown.line(asks[:12] + b"\x88\xcc" + b"x" * 40, 54).endswith("ethertype 0x88cc, 54 bytes")
    assert shown.line(b"x", 1) == "no IP, 1 bytes"
    later = bytes(ether(ip("10.0.0.1", "10.0.0.2", frag=3, proto=17) / b"xxxxxxxx"))
    assert shown.line(later, 42) == "10.0.0.1 > 10.0.0.2 udp, 28 bytes, fragment at 24"
    flags = bytes(ether(ip("10.0.0.1", "10.0.0.2") / kit().TCP(sport=1, dport=2, flags="FA")))
    assert shown.line(flags, 54) == "10.0.0.1:1 > 10.0.0.2:2 tcp fin-ack, 40 bytes"
