"""How commands are found and how they present themselves: loaded when called, examples first in their help.

click names the parameters of the methods that are overridden here, whether they are of use or not (ARG002).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command whose help shows examples before anything else it has to say."""

    def __init__(self, *args: Any, examples: str = "", **attributes: Any) -> None:
        attributes["context_settings"] = HELP_NAMES | attributes.get("context_settings", {})
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, what it does, usage, options."""
        write_examples(formatter, self.examples)
        self.format_help_text(ctx, formatter)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)


class Group(click.Group):
    """A group with the same help."""

    command_class = Command

    def __init__(self, *args: Any, examples: str = "", **attributes: Any) -> None:
        attributes["context_settings"] = HELP_NAMES | attributes.get("context_settings", {})
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, what it does, usage, options, commands."""
        write_examples(formatter, self.examples)
        self.format_help_text(ctx, formatter)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; without a command the help is shown as it is, and what is missing was usage."""
        if not args and self.no_args_is_help:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order in which they were added: the order in which one meets them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a near miss named."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no such command {args[0]!r}{meant}")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that knows its commands by a table and imports one when it is called."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.table = table
        """Name of a command: (module that holds it under that name, its one line of help)."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        if cmd_name not in self.table:
            return None
        command = getattr(import_module(self.table[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.table[cmd_name][0]}.{cmd_name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


def write_examples(formatter: click.HelpFormatter, examples: str) -> None:
    """A section of lines as they are, never wrapped."""
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"  {line.strip()}\n")
