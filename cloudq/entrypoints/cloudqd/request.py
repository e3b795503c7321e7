"""The options of one run of ``cloudqd``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from cloudq.config import Config, load_config
from cloudq.entrypoints.shared.terminal import show_message

NOT_RUNNING = 13
"""The exit status of ``--status`` when no agent acts for the system."""

_ALLOW_ROOT = "agent.allow_root"
_OVERRIDES = {"name": "agent.name", "num_procs": "agent.num_procs", "log_level": "log.level"}


@frozen
class Request:
    """The options of a run, except those that choose its mode."""

    config_file: Path | None
    overrides: Mapping[str, str]
    level: str
    quiet: bool
    as_json: bool
    submit_opt: str = ""
    within_min: float = 30.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Request:
        """Read the options of the command line."""
        overrides = {key: options[name] for name, key in _OVERRIDES.items() if options[name] is not None}
        if options["allow_root"]:
            overrides[_ALLOW_ROOT] = "true"
        return cls(
            config_file=options["config"],
            overrides=overrides,
            level=options["log_level"] or "",
            quiet=options["quiet"],
            as_json=options["as_json"],
            submit_opt=options["submit_opt"],
            within_min=options["within_min"],
        )

    def config(self) -> Config:
        """Return the configuration, and show its notices on stderr."""
        config = load_config(os.environ, path=self.config_file, overrides=self.overrides)
        for notice in config.notices:
            show_message(notice)
        return config

    def as_options(self) -> list[str]:
        """Return the options in the form that starts another ``cloudqd`` with them."""
        names = {key: name for name, key in _OVERRIDES.items()}
        given = [f"--{names[key]}={value}" for key, value in self.overrides.items() if key in names]
        given += ["--allow_root"] if _ALLOW_ROOT in self.overrides else []
        return [*given, *([f"--config={self.config_file.absolute()}"] if self.config_file else [])]
