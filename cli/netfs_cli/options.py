"""The options that several commands share: each writes into ``Settings``, so it may stand before a command or after."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from netfs_cli.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """``5``, ``5s``, ``500ms``, ``2m``: seconds. Raises click.BadParameter; no time at all is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if found is None or float(found[1]) == 0:
        raise click.BadParameter(f"{text!r} is no duration: write 5, 5s, 500ms or 2m")
    return float(found[1]) * _UNITS[found[2]]


def _into(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that stores an option under a name of ``Settings``; what was not given changes nothing."""

    def store(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        settings = ctx.ensure_object(Settings)
        if isinstance(value, tuple):
            getattr(settings, name).extend(value)
        elif value is not None and value is not False:
            setattr(settings, name, value)

    return store


def _source(command: F) -> F:
    return click.option(
        "--source",
        multiple=True,
        metavar="URI",
        expose_value=False,
        callback=_into("sources"),
        help="Where nodes are read from: lab, local, netns:NAME, pid:PID, file:PATH, each also as "
        "NAME=URI; may be repeated. Default: $NETFS_SOURCE, else a running lab, else local.",
    )(command)


def _timeout(command: F) -> F:
    return click.option(
        "--timeout",
        type=duration,
        metavar="DURATION",
        expose_value=False,
        callback=_into("timeout"),
        help="How long a source may take: 5, 5s, 500ms.",
    )(command)


def _verbose(command: F) -> F:
    return click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_into("verbose"), help="Say more on stderr."
    )(command)


def _colour(command: F) -> F:
    command = click.option(
        "--no-color",
        is_flag=True,
        flag_value="never",
        default=None,
        expose_value=False,
        callback=_into("colour"),
        help="As --color=never.",
    )(command)
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_into("colour"),
        help="When to use colour; NO_COLOR is obeyed.",
    )(command)


def namespace(command: F) -> F:
    """``-n``: the namespace that names without one are looked for in."""
    return click.option(
        "-n",
        "--namespace",
        metavar="NAMESPACE",
        expose_value=False,
        callback=_into("namespace"),
        help="The namespace of pods named without one (default: default).",
    )(command)


def all_namespaces(command: F) -> F:
    """``-A``: every namespace."""
    return click.option(
        "-A",
        "--all-namespaces",
        is_flag=True,
        expose_value=False,
        callback=_into("all_namespaces"),
        help="Pods of every namespace.",
    )(command)


def common(command: F) -> F:
    """What every command takes."""
    return _verbose(_colour(command))


def reading(command: F) -> F:
    """What every command takes that reads nodes."""
    return locating(_timeout(command))


def locating(command: F) -> F:
    """What every command takes that asks sources where their nodes are, and waits for nobody."""
    return _source(common(command))


def output(*formats: str) -> Callable[[F], F]:
    """``-o``: the form of the answer; the first one is the default."""
    return click.option(
        "-o",
        "--output",
        "output_form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the answer.",
    )


def write(*names: str, more: str = "") -> Callable[[F], F]:
    """``--write FILE``: the answer goes to a file; its suffix chooses the form. ``more``: the command's own forms."""
    return click.option(
        *names,
        "write",
        metavar="FILE",
        type=click.Path(dir_okay=False, allow_dash=True),
        help=f"Write the answer to FILE; .json and .yaml choose the form{more}.",
    )
