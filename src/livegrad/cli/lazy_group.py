"""A click group that knows its verbs by name and imports one when it is asked for."""

from importlib import import_module

import click


class LazyGroup(click.Group):
    """The verb `name` is the click command `name` in the module `livegrad.cli.<name>`.

    unlisted: verbs that are not listed.
    """

    def __init__(self, *args, verbs: tuple[str, ...] = (), unlisted: tuple[str, ...] = (), **kwargs):
        super().__init__(*args, **kwargs)
        self.verbs = verbs
        self.unlisted = unlisted

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in (*self.verbs, *self.unlisted):
            return None
        return getattr(import_module(f"livegrad.cli.{cmd_name}"), cmd_name)
