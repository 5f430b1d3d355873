"""Whatever the files hold, a record comes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netfs.collect.cgroups import hierarchies, names
from netfs.collect.cgroups.records import record

KEYS = ["", "max", "some", "8:0", "8:0 Read", "rbytes=", "avg10=", "total=", "nr_periods", "oom_kill", "inactive_file"]
WORDS = st.sampled_from(KEYS).map(str.encode) | st.binary(max_size=12) | st.integers().map(lambda n: b"%d" % n)
CONTENT = st.lists(WORDS, max_size=8).map(b" ".join) | st.lists(WORDS, max_size=8).map(b"\n".join) | st.binary()
HUGE = [f"hugetlb.{size}{end}" for size in ("2MB", "", ".") for end in names.HUGE]


def files(version: int) -> st.SearchStrategy[dict[str, bytes]]:
    known = [f"{start}.{end}" for start, ends in names.WHOLE[version].items() for end in ends.split()]
    return st.dictionaries(st.sampled_from(known + HUGE), CONTENT, max_size=12)


@given(files(1), files(2))
def test_any_content_makes_a_record(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    for detail in (False, True):
        group, malformed = record("/a", (), 1, (first, second), detail=detail)
        assert group.path == "/a"
        assert set(malformed) <= {*first, *second}
        hash(repr(group))


@given(CONTENT | st.lists(CONTENT, max_size=10).map(b" - cgroup2 ".join), st.binary())
def test_any_mountinfo_is_read(text: bytes, more: bytes) -> None:
    for each in (text, b"31 23 0:28 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n" + text, text + more):
        found = hierarchies.mounted(each)
        assert hierarchies.mode([mounts[0].hierarchy for mounts in found]) in {"v1", "v2", "hybrid", "none"}
