"""``cloudqaws preset``."""

from __future__ import annotations

import os

import click

from cloudq.bootstrap.builder import presets_of
from cloudq.config import config_home
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import printable


@click.command
@option("--preset_name", required=True, metavar="NAME", help="A preset that comes with cloudq.")
@common_options
def command(preset_name: str) -> None:
    """Copy a preset so that you can edit it; 'create --preset_name' then uses your copy."""
    place = presets_of(config_home(os.environ)).copy(preset_name)
    click.echo(f"Preset ({preset_name}) has been copied to {printable(str(place))}.")
