"""Files of version 2 as a kernel 6.x prints them (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from netfs.collect.cgroups import v2
from netfs.collect.cgroups.contents import Contents
from netfs.model.cgroups import Cpu, Cpuset, HugePages, Io, Memory, Pressure, Stall

MEMORY = {
    "memory.current": b"104857600\n",
    "memory.max": b"134217728\n",
    "memory.high": b"max\n",
    "memory.low": b"0\n",
    "memory.min": b"1048576\n",
    "memory.peak": b"120000000\n",
    "memory.swap.current": b"4096\n",
    "memory.swap.max": b"0\n",
    "memory.events": b"low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\nsock_throttled 0\n",
    "memory.stat": b"anon 52428800\nfile 50331648\nkernel 100\ninactive_anon 5\ninactive_file 4857600\n",
}


def test_cpu_with_its_controller() -> None:
    files = Contents(
        {
            "cpu.stat": (
                b"usage_usec 900\nuser_usec 600\nsystem_usec 300\nnice_usec 0\ncore_sched.force_idle_usec 0\n"
                b"nr_periods 10\nnr_throttled 4\nthrottled_usec 77\nnr_bursts 0\nburst_usec 0\n"
            ),
            "cpu.max": b"50000 100000\n",
            "cpu.max.burst": b"0\n",
            "cpu.weight": b"39\n",
        }
    )
    assert v2.cpu(files) == Cpu(900, 600, 300, 50_000, 100_000, 0, 39, None, 10, 4, 77)
    assert not files.malformed


def test_cpu_without_limit_and_without_controller() -> None:
    assert v2.cpu(Contents({"cpu.max": b"max 100000\n"})) == Cpu(period_us=100_000)
    root = {"cpu.stat": b"usage_usec 9\nuser_usec 6\nsystem_usec 3\n"}
    assert v2.cpu(Contents(root)) == Cpu(usage_us=9, user_us=6, system_us=3)
    assert v2.cpu(Contents({})) is None


def test_memory() -> None:
    assert v2.memory(Contents(MEMORY)) == Memory(
        current=104_857_600,
        limit=134_217_728,
        working_set=100_000_000,
        peak=120_000_000,
        low=0,
        minimum=1_048_576,
        swap=4096,
        swap_limit=0,
        limit_hits=12,
        ooms=2,
        oom_kills=1,
        anonymous=52_428_800,
        file=50_331_648,
    )


def test_the_root_has_no_use_of_its_own() -> None:
    memory = v2.memory(Contents({"memory.stat": MEMORY["memory.stat"]}))
    assert memory == Memory(anonymous=52_428_800, file=50_331_648)
    assert v2.memory(Contents({})) is None


def test_all_may_be_protected() -> None:
    memory = v2.memory(Contents({**MEMORY, "memory.min": b"max\n"}))
    assert memory is not None
    assert memory.minimum is not None
    assert memory.minimum > 1 << 62


def test_io_with_limits() -> None:
    files = Contents(
        {
            "io.stat": (
                b"8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0 cost.usage=1.5\n"
                b"8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021\n"
            ),
            "io.max": b"8:16 rbps=2097152 wbps=max riops=max wiops=120\n",
        }
    )
    assert v2.io(files) == (
        Io("8:0", 90_430_464, 299_008_000, 8950, 1252, {}),
        Io("8:16", 1_459_200, 314_773_504, 192, 353, {"rbps": 2_097_152, "wiops": 120}),
    )
    assert not files.malformed


def test_io_where_the_kernel_forgot_the_end_of_a_line() -> None:
    files = {"io.stat": b"7:0 7:1 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"}
    assert v2.io(Contents(files)) == (Io("8:0", 1, 2, 3, 4),)


def test_every_size_of_huge_pages() -> None:
    files = {
        "hugetlb.2MB.current": b"2097152\n",
        "hugetlb.2MB.max": b"4194304\n",
        "hugetlb.2MB.events": b"max 3\n",
        "hugetlb.2MB.rsvd.current": b"5\n",
        "hugetlb.1GB.current": b"0\n",
        "hugetlb.1GB.max": b"max\n",
    }
    assert v2.huge_pages(Contents(files)) == (
        HugePages("1GB", 0, None, None),
        HugePages("2MB", 2_097_152, 4_194_304, 3),
    )


def test_cpuset_of_a_group_and_of_the_root() -> None:
    files = {
        "cpuset.cpus": b"\n",
        "cpuset.cpus.effective": b"0-3\n",
        "cpuset.mems": b"0\n",
        "cpuset.mems.effective": b"0\n",
        "cpuset.cpus.partition": b"root invalid (Cpu list in cpuset.cpus not exclusive)\n",
    }
    told = "root invalid (Cpu list in cpuset.cpus not exclusive)"
    assert v2.cpuset(Contents(files)) == Cpuset("", "0-3", "0", "0", told)
    assert v2.cpuset(Contents({"cpuset.cpus.effective": b"0-3\n"})) == Cpuset(effective_cpus="0-3")


def test_events() -> None:
    files = Contents({"cgroup.events": b"populated 1\nfrozen 0\n"})
    assert (v2.populated(files), v2.frozen(files)) == (True, False)
    assert (v2.populated(Contents({})), v2.frozen(Contents({}))) == (None, None)


def test_pressure_by_resource() -> None:
    files = Contents(
        {
            "cpu.pressure": b"some avg10=1.50 avg60=0.25 avg300=100.00 total=123456\n",
            "io.pressure": (
                b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n"
            ),
            "irq.pressure": b"full avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
            "memory.pressure": b"some avg10=nan avg60=0.00 avg300=0.00 total=1\n",
        }
    )
    assert v2.pressure(files) == {
        "cpu": Pressure(Stall(1.5, 0.25, 100.0, 123_456)),
        "io": Pressure(Stall(0.0, 0.0, 0.0, 1), Stall(0.0, 0.0, 0.0, 2)),
        "irq": Pressure(None, Stall(0.0, 0.0, 0.0, 3)),
    }
    assert files.malformed == ["memory.pressure"]


def test_a_strange_file_leaves_its_field_unknown_and_is_named() -> None:
    files = Contents({"cpu.max": b"50000\n", "cpu.stat": b"usage_usec -5\nuser_usec 1\n", "cpu.weight": b"\xff\n"})
    assert v2.cpu(files) == Cpu(user_us=1)
    assert sorted(files.malformed) == ["cpu.max", "cpu.stat", "cpu.weight"]
