"""``cloudqcli init``."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import click

from cloudq.bootstrap.doctor import is_agent_here, store_problems
from cloudq.bootstrap.original_jobs import notice_of_original_jobs
from cloudq.bootstrap.profiles import scheduler_here
from cloudq.config import Config, config_home, load_config, notices_of_reach, render_config, write_new_config
from cloudq.domain.errors import ConfigProblem, StoreProblem, StoreUnavailable
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress


class _Question(NamedTuple):
    """A question that is asked on a terminal, if its answer *matters* after the earlier answers."""

    key: str
    text: str
    matters: Callable[[Mapping[str, str]], bool] = lambda _: True


def _is_bucket(answers: Mapping[str, str]) -> bool:
    endpoint = answers["store.endpoint_url"]
    return bool(answers["store.bucket"] or endpoint) and not endpoint.startswith("file:")


def _is_amazon(answers: Mapping[str, str]) -> bool:
    return bool(answers["store.bucket"]) and not answers["store.endpoint_url"]


_QUESTIONS = (
    _Question(
        "store.endpoint_url",
        "URL of the object store (empty: Amazon S3, or a local directory without a bucket)",
    ),
    _Question("store.bucket", "Bucket (empty: a directory below ~/.cloudq on this machine alone)"),
    _Question("store.region", "Region of the bucket (empty: that of your AWS settings)", _is_amazon),
    _Question(
        "store.profile", "Profile of ~/.aws/credentials with the keys (empty: the usual one)", _is_bucket
    ),
    _Question("agent.name", "Name of this system, if an agent will run here"),
    _Question("agent.profile", "Profile of this system: local, slurm, gridengine, pbs, abci, …"),
)
"""The questions, in this order, if no option gives a value."""

MAX_NAME = 63
"""The longest name of a system."""

_UNREACHED = (
    "The store sent no usable answer. Check the address; set HTTPS_PROXY if the network has a proxy; "
    "ask the site whether it allows connections to port 443 from here."
)


@click.command
@option("--endpoint_url", metavar="URL", help="Object store: http(s)://… or file:///dir.")
@option("--bucket", metavar="NAME", help="Bucket of the object store; it must exist.")
@option("--profile", metavar="NAME", help="Profile of ~/.aws/credentials with the keys.")
@option("--region", metavar="NAME", help="Region of the bucket.")
@option("--prefix", metavar="PATH", help="Prefix of all keys in the bucket.")
@option("--system", metavar="NAME", help="Name of this system, if an agent will run here.")
@option("--system_profile", metavar="NAME", help="Profile of this system: local, slurm, …")
@click.option("--check", is_flag=True, help="Check that the store can be used before the file is written.")
@common_options
@pass_session
def command(session: Session, /, check: bool, **given: str | None) -> None:
    """Write a configuration file with a comment for every key; never overwrite one.

    Without options, the command asks for the values on a terminal, and offers the profile of the
    scheduler that it finds on this machine. All other keys keep their defaults.
    """
    path = session.config_file or config_home(os.environ) / "config.toml"
    if path.exists():
        raise ConfigProblem(f"{path}: exists already and is never overwritten")
    values = _given_values(given)
    is_asked = not values and _is_asked()
    if is_asked:
        values = _asked()
    config = _checked(values)
    for notice in (*config.notices, *notices_of_reach(config.store)):
        show_message(notice)
    if check:
        _look_at_store(config)
    elif is_asked and config.store.directory is None:
        _offer_to_look(config)
    write_new_config(path, render_config(values))
    click.echo(f"{printable(str(path))} has been written.")
    if is_asked or sys.stderr.isatty():
        show_message(_next_step(config))


def _is_asked() -> bool:
    return sys.stdin.isatty()


def _look_at_store(config: Config) -> None:
    """Test the store and show notices about it; raise `StoreProblem` if it cannot be used from here."""
    show_progress("Checking the store …")
    try:
        notices = notice_of_original_jobs(config)
    except StoreUnavailable as problem:
        raise StoreUnavailable(f"{problem}\n{_UNREACHED}") from problem
    if problems := store_problems(config):
        raise StoreProblem("\n".join(f"{problem.what}; {problem.to_do}".rstrip("; ") for problem in problems))
    for notice in notices:
        show_message(notice)


def _offer_to_look(config: Config) -> None:
    """Test the store if the user agrees; after a problem, the user may still decide to write no file."""
    if not click.confirm("Check now whether the bucket can be used from here?", default=True, err=True):
        return
    try:
        _look_at_store(config)
    except StoreProblem as problem:
        show_message(str(problem))
        if not click.confirm("Write the file anyway?", default=False, err=True):
            raise


def _given_values(given: dict[str, str | None]) -> dict[str, str]:
    dotted = {
        "system": "agent.name",
        "system_profile": "agent.profile",
        **{name: f"store.{name}" for name in ("endpoint_url", "bucket", "profile", "region", "prefix")},
    }
    return {dotted[name]: value for name, value in given.items() if value is not None}


def _asked() -> dict[str, str]:
    """Return the answers; the scheduler of this machine gives the defaults for the agent."""
    here = scheduler_here(os.environ)
    if here is not None:
        show_message(f"Found {here.command}: the scheduler of this machine seems to be {here.name}.")
    defaults = {
        "agent.name": "local" if here is None else _system_name(platform.node()),
        "agent.profile": "local" if here is None else here.profile,
    }
    answers: dict[str, str] = {}
    for question in _QUESTIONS:
        if question.matters(answers):
            default = defaults.get(question.key, "")
            answers[question.key] = click.prompt(question.text, default=default, err=True)
    return {key: answer for key, answer in answers.items() if answer}


def _system_name(host: str) -> str:
    """Return the name of a host as the name of a system."""
    name = re.sub(r"[^a-z0-9_-]", "-", host.partition(".")[0].lower())[:MAX_NAME].lstrip("-_")
    return name or "local"


def _next_step(config: Config) -> str:
    """Return what to type next: an agent must run here if the store or the scheduler is on this machine."""
    if config.store.directory is not None or is_agent_here(config):
        return "Next, start the agent on this machine: cloudqd --daemon --detach"
    return "Next, check the configuration and the store: cloudqcli doctor"


def _checked(values: dict[str, str]) -> Config:
    """Return the configuration that the file will give, checked by the same rules as a file."""
    home = {name: os.environ[name] for name in ("HOME", "USERPROFILE") if name in os.environ}
    return load_config(home, home=config_home(os.environ), overrides=values)
