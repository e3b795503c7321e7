"""``cloudqcli completion``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.session import PROGRAM
from cloudq.entrypoints.shared.options import common_options

SHELLS = ("bash", "zsh", "fish")


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, ids, systems and files.

    Add one of these lines to the file that your shell reads at its start:

    \b
      ~/.bashrc                   eval "$(cloudqcli completion bash)"
      ~/.zshrc                    eval "$(cloudqcli completion zsh)"
      ~/.config/fish/config.fish  cloudqcli completion fish | source

    The ids are those of jobs that you submitted or listed on this machine; no request is sent.
    """
    from click.shell_completion import ShellComplete, get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    variable = f"_{PROGRAM}_COMPLETE".upper()
    # The subclass for bash would start bash to ask for its version.
    click.echo(ShellComplete.source(kind(ctx.find_root().command, {}, PROGRAM, variable)))
