"""A database that containerd 1.6.20 wrote (after 1102 transactions), read as ``ctr`` told it then.

Two images of one layer chain in two namespaces, a container in each, and a snapshot that ``ctr snapshots commit`` made.
"""

from __future__ import annotations

import base64
import random
import zlib

from netfs.overlay.stores.bolt import Bolt, BoltError
from netfs.overlay.stores.containerd import snapshots as containerd_snapshots
from netfs.overlay.stores.containerd.snapshots import ACTIVE, COMMITTED, Snapshot
from netfs.overlay.stores.containerd.values import Records

METADATA = zlib.decompress(
    base64.b64decode(
        """
eNrt3b1vG2UcwPF7iR2nNmlYmHgpYqsKse/NNgxkokOhTSokKiGh3vnulDRtEsUpgg406lAELCDKmMLAn8BGhIpUwcTABpl4kbqgSgwMdCHc+Z7HsZ/E
psC1iaPvR3LPv57tu/xyPT+/53nuqmmZMbG8u1W5a6RPprJ4XOtXEctHxPK0eOOZM79d/eDtuZc1AAAAAABw4Oj/UP8fUV5fVur/V8Qbb25cOH/HL22Q
UQAAAAAADh6juxzr9gfMJI/J5HFCz+ILyR9zyfJbsX7VyOJnxfqfzJ04jGL/8sW16Zo13Vq+NHirO/MKVpLHRPI4KuK3xF7JnonF5FHsiQMt662Q8Wti
/ZyIb4r18ie70fP5rdXIX4tCfy198+QvH9/efvzaH09vby+E5YWl5TBqG4sLS6G54q9GS2vyR3Gm2/O+5XrPh44de5bt1+3Yid3YClthZMVR4Fbrvh94
fsOPLd+x/ZYTRnYz9vzADZq2Va9X43qjHgXthSvR+szllXDPfZCbs+TmanXXckOnEQdRlHxa3XLjOLTsqG45rWbshE2vGcdBK2pUA9cL/OSlda8Zxa3Q
c0InCOzByS92n59Xkj+vJP91JflnleSfFLHsPnpxSLK/vv7o0e++T5OtZ8mudJLdycr6HVPNi3x57r+G/TwoTRF/MjxPV2eDNE9GlqfSHgdlbkdJJ/23
9D2y39kJuT1Pbs+zG6HfsJtN1w+tZjX5FTTc2A+ST2w1HNduubWgajca6QrPrSav8m0v2WC9EdXimu+EI5D9Xz98P82+mWW/+MBPCbeMPbLf2Qm+nwAA
AJAvs9v8LnTr/1ml/r+i1P/XlPr/d7M/fqOQNa3pD6A/gP4A+gPoD8irP6Cbfbc5fcnz/k/u5OnwopK7lpK7c0ruPlVOp8Ny982P+hOvfpnmbtPct/Op
3Am+6wEAALSeQk2t/9Pr/LdFfErP/k7W/2eNLJb9A1+Z/fHxQnadwF/aTv1fn27VBjdXC93ns0pz9ZzS1D+lNE9nlObpu0Or+zHjsZ/T5uh42gw1+puh
uVU0uwv6bLOLjfZzC8uHuZ5/asv+PE3v2P3V89nLRVpGspyfFfGGUlDeGJqmYyc3Z9M0FXaX83kfIwOr+WwfxOZGspj/j7l/77Mf0twXdxfzeR+IA2v5
bB/E5pITo/UgT4wyTdeHnhgnThzfStNS6jkx5n1w7D4vZlvlSxgAAOAhkg1MXQzoHNOysX85vPOk6AuQBWD/eP79VPcAAAAAAGC/yaFiQ1T8uugDSMfr
KkYWP2NkQ0fpLQGzoaH2oI9TB/rSQTk5NP+FEv8p4kkR3xNxRVkvR7Be0Pvjd0Rc7uy2kft0UkMzc58bYGjl/h4UUxvv7UQZ0wp5D0MWtGLeI3lFrdQz
etle8lfa88trbdmXtKnz7woAAAAADprxbuGud+v/KS0b/0+Xb9aKJAkAAAAAgBFXEkt1/r+8mpb5/wAAAAAAjL4Jsdxr/v+0mP//0r+Z/1/qPl/X+uf7
31bikt4//39Cz7oZ5B2uKnr/9QBlZf7/aSX+6DBcD2Bom6Zyl+/DdImAPDq4RAAAAAAAHrIj3cJ90Pz/CZIEAAAAAMCIK4vllPifAOR9/+W93OTV//I+
ARVSBgAAAADAyKko9b+87l9O1Jaj/3KeQJmUAQAAAAAAAAAAAAAAAAAAAAAAAAAAAACQu78BU7Dn+g==
"""
    )
)
BASE = "sha256:17525d48fbee9f6725ffd23e724c9f4d969ffbce80b56ba5d4769efcd64d4bb3"
MIDDLE = "sha256:d43f623a73f4f5f2dcde2feb507aab6a8af2a43ac4de39f6ab5b932770f787eb"
TOP = "sha256:638da83995ad290f4f85fabefcc8453c51b03880f4f65095aa3669e78e1f1a4d"


def read(data: bytes) -> dict[str, Snapshot]:
    records = Records("metadata.db")
    found = containerd_snapshots.read(Bolt(data), records)
    assert records.whole
    return {snapshot.path: snapshot for snapshot in found.by_id.values()}


def test_its_snapshots_are_those_that_ctr_lists() -> None:
    found = read(METADATA)
    assert {path: (one.kind, one.parent.split("/", 2)[-1]) for path, one in found.items()} == {
        "default/c1": (ACTIVE, TOP),
        "default/com": (COMMITTED, MIDDLE),
        f"default/{BASE}": (COMMITTED, ""),
        f"default/{TOP}": (COMMITTED, MIDDLE),
        f"default/{MIDDLE}": (COMMITTED, BASE),
        "k8s.io/c2": (ACTIVE, TOP),
        f"k8s.io/{BASE}": (COMMITTED, ""),
        f"k8s.io/{TOP}": (COMMITTED, MIDDLE),
        f"k8s.io/{MIDDLE}": (COMMITTED, BASE),
    }


def test_directory_size_and_moment_are_those_of_the_engine() -> None:
    com = read(METADATA)["default/com"]
    assert (com.id, com.size, com.created_at) == ("11", 4096, "2026-11-21T16:59:43.478344225Z")


def test_the_chain_of_a_container_is_that_of_ctr_snapshots_tree() -> None:
    found = containerd_snapshots.read(Bolt(METADATA), Records(""))
    assert found.below(found.by_id["7"]) == ("3", "2", "1")
    assert found.below(found.by_id["8"]) == ("6", "5", "4")


def test_its_older_meta_leads_to_a_tree_as_well() -> None:
    newest = Bolt(METADATA).meta
    data = bytearray(METADATA)
    data[newest.at] ^= 1
    older = Bolt(bytes(data))
    assert older.meta.txid == newest.txid - 1
    assert older.root.bucket(b"v1", b"snapshots")


def test_damage_is_a_bolt_error_or_an_answer() -> None:
    answers = 0
    for seed in range(200):
        choose = random.Random(seed)
        data = bytearray(METADATA)
        for _ in range(20):
            data[choose.randrange(len(data))] = choose.randrange(256)
        records = Records("")
        try:
            found = containerd_snapshots.read(Bolt(bytes(data)), records)
        except BoltError:
            continue
        answers += bool(found.by_id)
    assert answers > 50
