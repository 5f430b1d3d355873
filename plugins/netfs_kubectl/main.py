"""The console script ``kubectl-netfs``, which kubectl runs as ``kubectl netfs``.

kubectl refuses flags before a plugin's name, so kubectl's own flags arrive here, anywhere among the
arguments (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/). ``-n`` and ``-A`` mean to netfs what
they mean to kubectl and are passed on; those that choose a cluster are taken out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

PROGRAM = "kubectl netfs"

CLUSTER_FLAGS = ("--context", "--cluster", "--user", "--kubeconfig")
TIMEOUT_FLAG = "--request-timeout"


def main() -> int:
    """Run the plugin's command line and return its exit status."""
    try:
        arguments, cluster = split(sys.argv[1:])
        if cluster:
            sys.stderr.write(
                f"netfs: {cluster[0]}: reading a cluster through the Kubernetes API is not in this version "
                "(name the nodes with --source, for instance --source file:cluster.json.zst)\n"
            )
            return 3
        from netfs_cli.run import run

        return run(arguments, program=PROGRAM, kubernetes=True)
    except KeyboardInterrupt:
        return 130


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What netfs is to see, and the flags that choose a cluster. Nothing behind ``--`` is touched."""
    rest: list[str] = []
    cluster: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        flag, equals, value = argument.partition("=")
        if argument == "--":
            return [*rest, argument, *waiting], cluster
        if flag not in (*CLUSTER_FLAGS, TIMEOUT_FLAG):
            rest.append(argument)
            continue
        if not equals and waiting:
            value = waiting.pop(0)
        if flag == TIMEOUT_FLAG:
            rest[:0] = ["--timeout", value]
        else:
            cluster.append(flag)
    return rest, cluster


if __name__ == "__main__":
    sys.exit(main())
