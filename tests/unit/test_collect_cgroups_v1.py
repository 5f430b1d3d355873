"""Files of version 1 as a kernel 6.x prints them."""

from __future__ import annotations

import os

from netfs.collect.cgroups import both, v1
from netfs.collect.cgroups.contents import Contents
from netfs.model.cgroups import Cpu, Cpuset, HugePages, Io, Memory, Pids

TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
MEMORY = {
    "memory.usage_in_bytes": b"104857600\n",
    "memory.limit_in_bytes": b"134217728\n",
    "memory.memsw.usage_in_bytes": b"106954752\n",
    "memory.memsw.limit_in_bytes": b"268435456\n",
    "memory.max_usage_in_bytes": b"134217728\n",
    "memory.failcnt": b"17\n",
    "memory.oom_control": b"oom_kill_disable 0\nunder_oom 1\noom_kill 3\n",
    "memory.stat": (
        b"cache 1\nrss 2\ninactive_file 3\nhierarchical_memory_limit 134217728\n"
        b"total_cache 50331648\ntotal_rss 52428800\ntotal_inactive_file 4857600\n"
    ),
}
NONE = b"9223372036854771712\n"


def test_cpu_in_microseconds() -> None:
    files = Contents(
        {
            "cpu.cfs_quota_us": b"50000\n",
            "cpu.cfs_period_us": b"100000\n",
            "cpu.cfs_burst_us": b"10000\n",
            "cpu.shares": b"512\n",
            "cpu.stat": b"nr_periods 100\nnr_throttled 40\nthrottled_time 1234567890\nnr_bursts 0\nburst_time 0\n",
            "cpuacct.usage": b"9876543210\n",
            "cpuacct.stat": b"user 700\nsystem 200\n",
        }
    )
    assert v1.cpu(files) == Cpu(
        usage_us=9_876_543,
        user_us=700 * TICK,
        system_us=200 * TICK,
        quota_us=50_000,
        period_us=100_000,
        burst_us=10_000,
        shares=512,
        periods=100,
        throttled_periods=40,
        throttled_us=1_234_567,
    )
    assert not files.malformed


def test_no_quota_is_minus_one() -> None:
    files = Contents({"cpu.cfs_quota_us": b"-1\n", "cpu.shares": b"1024\n"})
    assert v1.cpu(files) == Cpu(shares=1024)
    assert not files.malformed
    assert v1.cpu(Contents({"cpu.cfs_quota_us": b"-1\n"})) == Cpu()


def test_memory_counts_what_is_below_and_swap_by_itself() -> None:
    assert v1.memory(Contents(MEMORY)) == Memory(
        current=104_857_600,
        limit=134_217_728,
        working_set=100_000_000,
        peak=134_217_728,
        swap=2_097_152,
        swap_limit=134_217_728,
        limit_hits=17,
        oom_kills=3,
        under_oom=True,
        anonymous=52_428_800,
        file=50_331_648,
    )


def test_no_limit_of_memory_is_the_largest_number_of_pages() -> None:
    for none in (NONE, b"9223372036854710272\n"):  # pages of 4 KiB, of 64 KiB
        memory = v1.memory(Contents({**MEMORY, "memory.limit_in_bytes": none, "memory.memsw.limit_in_bytes": none}))
        assert memory is not None
        assert (memory.limit, memory.swap_limit) == (None, None)
    memory = v1.memory(Contents({**MEMORY, "memory.memsw.limit_in_bytes": NONE}))
    assert memory is not None
    assert (memory.limit, memory.swap_limit) == (134_217_728, None)


def test_what_was_read_a_moment_apart_is_never_negative() -> None:
    later = {"memory.stat": b"total_inactive_file 999999999\n", "memory.memsw.usage_in_bytes": b"5\n"}
    memory = v1.memory(Contents({**MEMORY, **later}))
    assert memory is not None
    assert (memory.working_set, memory.swap) == (0, 0)


def test_a_kernel_without_swap_accounting() -> None:
    memory = v1.memory(Contents({name: data for name, data in MEMORY.items() if "memsw" not in name}))
    assert memory is not None
    assert (memory.swap, memory.swap_limit) == (None, None)


def test_pids_and_the_root_that_has_none() -> None:
    files = {"pids.current": b"7\n", "pids.max": b"max\n", "pids.peak": b"9\n", "pids.events": b"max 4\n"}
    assert both.processes(Contents(files)) == Pids(7, None, 9, 4)
    assert both.processes(Contents({**files, "pids.max": b"10\n"})) == Pids(7, 10, 9, 4)
    assert both.processes(Contents({})) is None


def test_io_by_device_with_what_is_below() -> None:
    files = Contents(
        {
            "blkio.throttle.io_service_bytes": b"8:0 Read 1\n8:0 Write 1\nTotal 2\n",
            "blkio.throttle.io_service_bytes_recursive": (
                b"259:0 Read 4096\n259:0 Write 8192\n259:0 Sync 4096\n259:0 Async 8192\n259:0 Discard 0\n"
                b"259:0 Total 12288\n8:16 Read 512\n8:16 Write 0\nTotal 12800\n"
            ),
            "blkio.throttle.io_serviced_recursive": b"259:0 Read 1\n259:0 Write 2\nTotal 3\n",
            "blkio.throttle.read_bps_device": b"8:16 1048576\n",
            "blkio.throttle.write_iops_device": b"8:16 100\n253:1 5\n",
        }
    )
    assert v1.io(files) == (
        Io("8:16", 512, 0, None, None, {"rbps": 1_048_576, "wiops": 100}),
        Io("253:1", None, None, None, None, {"wiops": 5}),
        Io("259:0", 4096, 8192, 1, 2, {}),
    )
    assert not files.malformed


def test_io_of_a_kernel_that_has_no_recursive_files() -> None:
    files = {"blkio.throttle.io_service_bytes": b"8:0 Read 10\n8:0 Write 20\nTotal 30\n"}
    assert v1.io(Contents(files)) == (Io("8:0", 10, 20),)
    assert v1.io(Contents({"blkio.throttle.io_service_bytes": b"Total 0\n"})) == ()


def test_every_size_of_huge_pages() -> None:
    files = {
        "hugetlb.1GB.usage_in_bytes": b"0\n",
        "hugetlb.1GB.limit_in_bytes": b"9223372035781033984\n",
        "hugetlb.1GB.failcnt": b"0\n",
        "hugetlb.2MB.usage_in_bytes": b"4194304\n",
        "hugetlb.2MB.limit_in_bytes": b"8388608\n",
        "hugetlb.2MB.failcnt": b"2\n",
        "hugetlb.2MB.rsvd.usage_in_bytes": b"1\n",
    }
    assert v1.huge_pages(Contents(files)) == (HugePages("1GB", 0, None, 0), HugePages("2MB", 4_194_304, 8_388_608, 2))


def test_cpuset_and_freezer() -> None:
    files = {
        "cpuset.cpus": b"0-3,7\n",
        "cpuset.effective_cpus": b"0-3\n",
        "cpuset.mems": b"\n",
        "cpuset.effective_mems": b"0\n",
    }
    assert v1.cpuset(Contents(files)) == Cpuset("0-3,7", "0-3", "", "0", "")
    assert v1.cpuset(Contents({})) is None
    states = [b"THAWED\n", b"FREEZING\n", b"FROZEN\n", b"", b"melting\n"]
    assert [v1.frozen(Contents({"freezer.state": state})) for state in states] == [False, False, True, None, None]


def test_a_strange_file_leaves_its_field_unknown_and_is_named() -> None:
    files = Contents({**MEMORY, "memory.failcnt": b"many\n", "memory.oom_control": b"oom_kill x\nunder_oom 0\n"})
    memory = v1.memory(files)
    assert memory is not None
    assert (memory.limit_hits, memory.oom_kills, memory.under_oom) == (None, None, False)
    assert sorted(set(files.malformed)) == ["memory.failcnt", "memory.oom_control"]
