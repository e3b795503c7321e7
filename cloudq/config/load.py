"""Read the configuration: collect values by precedence, report all problems, build the result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from attrs import evolve

from cloudq.config import checks
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
from cloudq.config.schema import BY_DOTTED, BY_VARIABLE, FILE, SECTIONS
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.stores.endpoint import PLAIN_HTTP, is_plain_http
from cloudq.toml_tables import TableReader, TomlFile, did_you_mean

_ENDPOINT = ("store", "endpoint_url")
_BUCKET = ("store", "bucket")
_KMS_KEY = ("store", "sse_kms_key_id")


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
    reader = TableReader(FILE, checks.secret_problem)
    file = TomlFile.read(home / CONFIG_FILE if path is None else path)
    if file is not None:
        reader.add_file(file)
    elif path is not None:
        raise ConfigProblem(f"{path}: does not exist")
    else:
        reader.notices += _notices_of_original(home)
    _add_variables(reader, environ)
    for dotted, text in overrides.items():
        key = BY_DOTTED[dotted]
        reader.add_text((key.section, key.name), key, text, f"option --{key.section}_{key.name}")
    store = _store(reader, home, environ)
    if reader.problems:
        raise ConfigProblem(reader.problems)
    values = reader.values
    return Config(
        home=home,
        store=store,
        agent=AgentConfig(**values.get("agent", {})),
        client=ClientConfig(**values.get("client", {})),
        log=LogConfig(**values.get("log", {})),
        projects=_frozen(values.get("projects", {})),
        resources=_frozen(values.get("resources", {})),
        path=None if file is None else Path(file.name),
        notices=tuple(reader.notices),
    )


def _add_variables(reader: TableReader, environ: Mapping[str, str]) -> None:
    """Add every ``CLOUDQ_SECTION_KEY``; warn about unknown variables of this form instead of failing."""
    for variable, text in environ.items():
        if key := BY_VARIABLE.get(variable):
            reader.add_text((key.section, key.name), key, text, f"variable {variable}")
        elif variable.startswith(tuple(f"CLOUDQ_{section}_".upper() for section in SECTIONS)):
            hint = did_you_mean(variable, BY_VARIABLE)
            reader.notices.append(f"unknown variable {variable}{hint}")


def _frozen(tables: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({name: MappingProxyType(table) for name, table in tables.items()})


def _store(reader: TableReader, home: Path, environ: Mapping[str, str]) -> StoreConfig:
    """Return the store's section, in which some values depend on others; add the problems to the reader's."""
    store = StoreConfig(**reader.values.get("store", {}))
    if _ENDPOINT not in reader.places and _BUCKET not in reader.places:
        store = evolve(store, endpoint_url=FILE_SCHEME + _url_path(home / "store"))
    elif store.endpoint_url.startswith(f"{FILE_SCHEME}~/"):
        below_home = store.endpoint_url.removeprefix(f"{FILE_SCHEME}~")
        store = evolve(store, endpoint_url=FILE_SCHEME + _url_path(_user_home(environ)) + below_home)
    if not reader.problems:
        reader.problems += _problems_between(reader, store)
    return store


def _problems_between(reader: TableReader, store: StoreConfig) -> Iterator[str]:
    """Yield the problems of values of the store's section that are valid alone but not together."""
    places = reader.places
    if store.directory is None and not store.bucket:
        yield (
            f"{places.get(_BUCKET) or places[_ENDPOINT]}: an S3 store needs a bucket, and [store] bucket is "
            "empty: name one there or in CLOUDQ_STORE_BUCKET"
        )
    elif is_plain_http(store.endpoint_url) and not store.allow_plain_http:
        yield f"{places[_ENDPOINT]}: {PLAIN_HTTP}"
    if store.sse_kms_key_id and not store.sse.startswith("aws:kms"):
        yield f'{places[_KMS_KEY]}: has no effect without [store] sse = "aws:kms" or "aws:kms:dsse"'


def _url_path(path: Path) -> str:
    return path.as_uri().removeprefix(FILE_SCHEME)


def _user_home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home).absolute() if home else Path.home()


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    return _user_home(environ) / path[2:] if path.startswith("~/") else Path(path)


def _notices_of_original(home: Path) -> list[str]:
    paths = find_original(home)
    if not paths:
        return []
    names = ", ".join(str(path) for path in paths)
    notice = f"{names}: a configuration of the original CloudQ, which is neither used nor changed"
    return [f"{notice}; 'cloudqcli init' writes a new one to {home / CONFIG_FILE}"]
