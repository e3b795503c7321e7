"""Read the configuration: collect values by precedence, report all problems, build the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cloudq.config.model import (
    CONFIG_FILE,
    FILE_SCHEME,
    AgentConfig,
    ClientConfig,
    Config,
    LogConfig,
    StoreConfig,
)
from cloudq.config.original import find_original
from cloudq.config.reading import Reading
from cloudq.config.schema import BY_DOTTED, KEYS, Value
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.stores.endpoint import PLAIN_HTTP, is_plain_http

MAX_FILE_BYTES = 1024 * 1024


def config_home(environ: Mapping[str, str] | None = None) -> Path:
    """Return the directory for everything that cloudq keeps: ``CLOUDQ_HOME``, else ``~/.cloudq``."""
    environ = os.environ if environ is None else environ
    chosen = environ.get("CLOUDQ_HOME", "")
    if chosen:
        return _expanded(chosen, environ).absolute()
    return _user_home(environ) / ".cloudq"


def load_config(
    environ: Mapping[str, str] | None = None,
    *,
    home: Path | None = None,
    path: Path | None = None,
    overrides: Mapping[str, str] = MappingProxyType({}),
) -> Config:
    """Read *path* (by default ``config.toml`` in *home*, which need not exist) and the other sources.

    *overrides* take precedence over the variables of *environ* (by default those of this process), which take
    precedence over the file. Overrides are named by ``section.key``, such as ``{"log.level": "DEBUG"}``.
    Raises `ConfigProblem`, which names every problem with its place.
    """
    environ = os.environ if environ is None else environ
    home = config_home(environ) if home is None else home
    reading = Reading()
    file = home / CONFIG_FILE if path is None else path
    text = _read_text(file, must_exist=path is not None)
    if text is not None:
        reading.add_file(str(file), text, _parse(str(file), text))
    reading.add_variables(environ)
    reading.add_options(overrides)
    store = _store(reading, home, environ)
    if reading.problems:
        raise ConfigProblem(reading.problems)
    if text is None:
        reading.notices += _notices_of_original(home)
    return _build(reading, home, store, file if text is not None else None)


def _build(reading: Reading, home: Path, store: StoreConfig, path: Path | None) -> Config:
    return Config(
        home=home,
        store=store,
        agent=AgentConfig(**_section(reading, "agent")),
        client=ClientConfig(**_section(reading, "client")),
        log=LogConfig(**_section(reading, "log")),
        projects=_frozen(reading.tables["projects"]),
        resources=_frozen(reading.tables["resources"]),
        path=path,
        notices=tuple(reading.notices),
    )


def _section(reading: Reading, section: str) -> dict[str, Any]:
    return {key.name: _typed(reading, key.dotted) for key in KEYS if key.section == section}


def _typed(reading: Reading, dotted: str) -> Value:
    key = BY_DOTTED[dotted]
    value = reading.values.get(dotted, key.default)
    return float(value) if key.type is float else value


def _frozen(tables: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({name: MappingProxyType(dict(table)) for name, table in tables.items()})


def _store(reading: Reading, home: Path, environ: Mapping[str, str]) -> StoreConfig:
    """Return the store's section, in which some values depend on others."""
    values = _section(reading, "store")
    given = "store.endpoint_url" in reading.places
    if not given and not reading.places.get("store.bucket"):
        values["endpoint_url"] = FILE_SCHEME + _url_path(home / "store")
    url = str(values["endpoint_url"])
    if url.startswith(f"{FILE_SCHEME}~/"):
        values["endpoint_url"] = FILE_SCHEME + _url_path(_user_home(environ)) + url[len(FILE_SCHEME) + 1 :]
    elif not url.startswith(FILE_SCHEME) and not values["bucket"] and not reading.problems:
        place = reading.places.get("store.bucket") or reading.places["store.endpoint_url"]
        reading.problems.append(
            f"{place}: an S3 store needs a bucket, and [store] bucket is empty: "
            "name one there or in CLOUDQ_STORE_BUCKET"
        )
    if not reading.problems:
        reading.problems += _problems_between(reading, values)
    return StoreConfig(**values)


def _problems_between(reading: Reading, values: Mapping[str, Any]) -> list[str]:
    """Return the problems of values of the store's section that are valid alone but not together."""
    problems = []
    if is_plain_http(str(values["endpoint_url"])) and not values["allow_plain_http"]:
        problems.append(f"{reading.places['store.endpoint_url']}: {PLAIN_HTTP}")
    if values["sse_kms_key_id"] and not str(values["sse"]).startswith("aws:kms"):
        place = reading.places["store.sse_kms_key_id"]
        problems.append(f'{place}: has no effect without [store] sse = "aws:kms" or "aws:kms:dsse"')
    return problems


def _url_path(path: Path) -> str:
    return path.as_uri().removeprefix(FILE_SCHEME)


def _user_home(environ: Mapping[str, str]) -> Path:
    found = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(found).absolute() if found else Path.home()


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    return _user_home(environ) / path[2:] if path.startswith("~/") else Path(path)


def _read_text(file: Path, *, must_exist: bool) -> str | None:
    try:
        if file.is_file() and file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigProblem(f"{file}: too large for a configuration file")
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if not must_exist:
            return None
        raise ConfigProblem(f"{file}: does not exist") from error
    except UnicodeDecodeError as error:
        raise ConfigProblem(f"{file}: not UTF-8 text") from error
    except OSError as error:
        raise ConfigProblem(f"{file}: cannot be read: {error.strerror or error}") from error


def _parse(place: str, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415  a client without a file need not pay for the parser

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigProblem(f"{place}: not TOML: {error}") from error


def _notices_of_original(home: Path) -> list[str]:
    found = find_original(home)
    if not found:
        return []
    names = ", ".join(str(path) for path in found)
    told = f"{names}: a configuration of the original CloudQ, which is neither used nor changed"
    return [f"{told}; 'cloudqcli init' writes a new one to {home / CONFIG_FILE}"]
