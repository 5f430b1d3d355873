"""``netfs lab``: the embedded cluster, made of real kernel objects."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Group
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.lab.state import LabState, Member
    from netfs.model.kubernetes import NetworkPolicy, Service

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class LabAnswer:
    """A lab as JSON shows it."""

    name: str
    root: bool
    nodes: tuple[Member, ...]
    pods: tuple[Member, ...]
    broken: tuple[str, ...]
    notes: tuple[str, ...]
    proxy: str = "nftables"
    services: tuple[Service, ...] = ()
    network_policies: tuple[NetworkPolicy, ...] = ()
    enforce: bool = False
    """Whether something enforces the policies."""
    schema: str = "netfs.lab/v1"


def _answer(state: LabState) -> LabAnswer:
    objects = state.kubernetes
    return LabAnswer(
        state.name,
        state.root,
        state.nodes,
        state.pods,
        state.broken,
        state.notes,
        state.proxy,
        objects.services,
        objects.network_policies,
        state.enforce,
    )


def _name(command: F) -> F:
    return click.option("--name", default="default", show_default=True, metavar="NAME", help="Name of the lab.")(
        command
    )


@click.group(
    cls=Group,
    examples="""
    netfs lab up
    netfs lab status
    netfs lab exec pod-a -- ping -c 1 10.244.2.2
    netfs lab break vxlan-fdb-missing
    netfs lab repair
    netfs lab down
    """,
)
@options.common
def lab() -> None:
    """A small cluster of real kernel objects on this machine: no VM, no image, no root."""


@lab.command(
    examples="""
    netfs lab up
    netfs lab up --nodes 3 --pods 4 --ipv6
    netfs lab up --proxy iptables --service web=pod-b,pod-d:80:8080
    netfs lab up --service web=pod-b:80,type=NodePort,node-port=30080 --service db=:5432
    netfs lab up --policy deny-all.yaml --enforce
    """
)
@click.option("--nodes", type=click.IntRange(1, 200), default=2, show_default=True, help="How many nodes.")
@click.option("--pods", type=click.IntRange(0, 200), default=2, show_default=True, help="How many pods on each node.")
@click.option("--ipv6", is_flag=True, help="IPv6 beside IPv4.")
@click.option(
    "--proxy",
    type=click.Choice(["iptables", "iptables-legacy", "nftables", "none"]),
    help="How kube-proxy runs; without it on iptables where there is a --service, else on nftables.",
)
@click.option(
    "services",
    "--service",
    multiple=True,
    metavar="NAME=POD[,POD...][:PORT[:TARGET][/udp]][,OPTION...]",
    help="A Service; repeatable. Options: type=NodePort|LoadBalancer, node-port=, cluster-ip=, external-ip=, lb-ip=, "
    "lb-from=, affinity=SECONDS, internal=Local, external=Local, headless, external-name=, selector=KEY:VALUE, "
    "notready=POD, terminating=POD, publish-not-ready. Lists are joined by +.",
)
@click.option(
    "policies",
    "--policy",
    multiple=True,
    metavar="FILE",
    help="NetworkPolicies, YAML or JSON, as objects of the API; repeatable.",
)
@click.option("--enforce", is_flag=True, help="Enforce the policies; else nothing does.")
@_name
@options.output("text", "json", "yaml")
@options.common
@click.pass_obj
def up(
    settings: Settings,
    nodes: int,
    pods: int,
    ipv6: bool,
    proxy: str | None,
    services: tuple[str, ...],
    policies: tuple[str, ...],
    enforce: bool,
    name: str,
    output_form: str,
) -> int:
    """Build a lab."""
    import netfs.lab
    from netfs_cli.render import lab as render

    state = netfs.lab.up(
        name=name,
        nodes=nodes,
        pods=pods,
        ipv6=ipv6,
        proxy=proxy,
        services=services,
        policies=_read(policies),
        enforce=enforce,
    )
    answer = _answer(state)
    output.show(answer, lambda ink, _: render.up(answer, ink), settings=settings, form=output_form)
    return 0


def _read(files: tuple[str, ...]) -> tuple[NetworkPolicy, ...]:
    if not files:
        return ()
    from netfs.errors import SourceError
    from netfs.sources import kubernetes

    found: list[NetworkPolicy] = []
    for file in files:
        policies = kubernetes.read(file).network_policies
        if not policies:
            raise SourceError("holds no NetworkPolicy", where=file)
        found += policies
    return tuple(found)


@lab.command(examples="netfs lab status\nnetfs lab status --name two -o json")
@_name
@options.output("text", "json", "yaml")
@options.common
@click.pass_obj
def status(settings: Settings, name: str, output_form: str) -> int:
    """Show a running lab; exit status 3 where part of it died."""
    import netfs.lab
    from netfs_cli.render import lab as render

    answer = _answer(netfs.lab.status(name))
    output.show(answer, lambda ink, _: render.status(answer, ink), settings=settings, form=output_form)
    return 0 if all(member.alive for member in (*answer.nodes, *answer.pods)) else 3


@lab.command(
    "exec",
    examples="netfs lab exec pod-a -- ip route\nnetfs lab exec node2 -- tcpdump -ni flannel.1",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_name
@options.common
@click.argument("member", metavar="NAME")
@click.argument("argv", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(member: str, argv: tuple[str, ...], name: str) -> int:
    """Run a command in a node or pod; its exit status is the command's. Options stand before NAME."""
    command = argv[1:] if argv[0] == "--" else argv
    if not command:
        raise click.UsageError("a command is missing after --")
    import netfs.lab

    sys.stdout.flush()
    return netfs.lab.execute(name, member, list(command))


@lab.command("break", examples="netfs lab break vxlan-fdb-missing\nnetfs lab break forwarding-off --name two")
@click.argument("slug")
@_name
@options.common
@click.pass_obj
def break_(settings: Settings, slug: str, name: str) -> int:
    """Inject a fault. netfs explain lists them."""
    import netfs.lab
    from netfs.lab.catalogue import catalogue
    from netfs_cli.render import lab as render

    done = netfs.lab.break_fault(name, slug)
    question = catalogue()[slug].probe.question
    sys.stdout.write(render.changed(done, name, slug, question, terminal.ink(settings.colour, sys.stdout)))
    return 0


@lab.command(examples="netfs lab repair\nnetfs lab repair vxlan-fdb-missing")
@click.argument("slug", required=False)
@_name
@options.common
@click.pass_obj
def repair(settings: Settings, slug: str | None, name: str) -> int:
    """Undo one injected fault, or all of them."""
    import netfs.lab
    from netfs_cli.render import lab as render

    done = netfs.lab.repair(name, slug)
    sys.stdout.write(render.changed(done, name, None, None, terminal.ink(settings.colour, sys.stdout)))
    return 0


@lab.command(examples="netfs lab down\nnetfs lab down --name two")
@_name
@options.common
def down(name: str) -> int:
    """Remove a lab and everything it made."""
    import netfs.lab

    netfs.lab.down(name)
    sys.stdout.write(f"lab {name} is down\n")
    return 0
