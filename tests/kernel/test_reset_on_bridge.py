"""A reset for a translated packet that came in by a bridge's port: it bears the backend's address."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import netfs
import netfs.lab
from netfs.lab.state import LabState
from tests.kernel.test_lab_services import address, outcome

pytestmark = pytest.mark.kernel

REJECT = "iptables -I FORWARD 1 -p tcp -j REJECT --reject-with tcp-reset"
CALLED = "net.bridge.bridge-nf-call-iptables"
IN_VAIN = "whom it never asked"


@pytest.fixture(scope="module")
def lab(require_program: Callable[[str], str]) -> Iterator[LabState]:
    """A Service on the other node, and a rule that resets what is forwarded to it."""
    require_program("iptables")
    name = f"reset-{os.getpid()}"
    made = netfs.lab.up(name, pods=1, proxy="iptables", services=("web=pod-b:81:80",))
    netfs.lab.execute(name, "node1", ["sh", "-ec", REJECT])
    yield made
    netfs.lab.down(name)


@pytest.mark.parametrize("called", [1, 0])
def test_a_reset_past_the_translation_is_no_answer(lab: LabState, called: int) -> None:
    """``nf_send_reset`` sends it out of the port at once, where bridge-nf-call-iptables saw it come in there."""
    assert netfs.lab.execute(lab.name, "node1", ["sysctl", "-qw", f"{CALLED}={called}"]) == 0
    cluster = netfs.load(f"lab:{lab.name}")
    for target, at, port in (("svc/web", address(lab, "web"), 81), ("pod-b", lab.member("pod-b").ip or "", 80)):
        drop = cluster.trace("pod-a", target, port=port).forward.drop
        assert drop is not None
        in_vain = outcome(lab, "pod-a", at, port) != "refused"
        assert (IN_VAIN in drop.why) is in_vain
        assert in_vain is (target == "svc/web" and called == 1)
