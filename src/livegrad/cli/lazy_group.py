"""A click group that knows its verbs by name and imports one when it is asked for."""

from importlib import import_module

import click


class LazyGroup(click.Group):
    """The verb `name` is the click command `name` in the module `livegrad.cli.<name>`."""

    def __init__(self, *args, verbs: tuple[str, ...] = (), **kwargs):
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        return getattr(import_module(f"livegrad.cli.{cmd_name}"), cmd_name)
