"""Groups of commands with one that may be left out."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ClipsByDefault(TyperGroup):
    """A group in which what is no command of its own is an argument of `clips`."""

    default = "clips"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of arguments that name no command.

        Typer carries a click of its own, whose `Context` has no public name: hence `Any`.
        """
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)
