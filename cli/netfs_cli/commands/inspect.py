"""``netfs inspect``: everything that makes a pod what it is, on one page."""

from __future__ import annotations

from time import perf_counter

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs inspect pod-a                     what is this pod made of?
netfs inspect kube-system/coredns-x7 -c coredns
netfs inspect web -o wide               every mount, namespace, capability
netfs inspect 10.244.1.2                whose is this address?
netfs inspect pid/4711                  which container is this process of?
netfs inspect web -o json | jq '.containers[].cgroup.memory'
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("target", metavar="TARGET")
@click.option("-c", "--container", metavar="NAME", default="", help="Which container of a pod that has several.")
@options.namespace
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.reading
@click.pass_obj
def inspect(settings: Settings, target: str, container: str, output_form: str, write: str | None) -> int:
    """Show a pod or container on one page: processes, namespaces, control group, files, network, privileges.

    TARGET is a pod, a container's name, the beginning of its id, or an address; pod/… and container/… say which is
    meant, pid/N is a process, node/NAME a node, NODE/… what is on it. Read are the kernel and the engines that run
    here, their sockets and their files; where none runs, containers are recognised from the kernel alone. Nothing is
    changed.

    Exit status: 0, 1 findings of severity error, 2 where nothing is called so, 3 where something needed could not be
    read.
    """
    import netfs

    started = perf_counter()
    containers = netfs.containers(*settings.reachable(), timeout=settings.timeout)
    answer = containers.inspect(target, namespace=settings.namespace or "", container=container)
    if settings.verbose:
        terminal.note(f"read {answer.name} in {(perf_counter() - started) * 1000:.0f} ms")

    from netfs_cli.render.inspect import page

    wide = output_form == "wide"
    output.show(
        answer,
        lambda ink, width: page.render(answer, ink, width=width, wide=wide),
        settings=settings,
        form=output_form,
        write=write,
    )
    if any(finding.severity == "error" for finding in answer.findings):
        return 1
    return 3 if answer.gaps else 0
