"""Configuration: the sources of values, which of them are saved, and a message for every problem."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import cloudq
from cloudq.config import (
    KEYS,
    AgentConfig,
    Config,
    ConfigKey,
    StoreConfig,
    config_home,
    load_config,
    variable_of,
)
from cloudq.domain.errors import ConfigProblem


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home dir" / ".cloudq"
    home.mkdir(parents=True)
    return home


def written(home: Path, text: str) -> Path:
    file = home / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(home: Path, text: str = "", environ: Mapping[str, str] | None = None, **overrides: str) -> Config:
    written(home, text)
    given = {dotted.replace("__", "."): value for dotted, value in overrides.items()}
    return load_config(environ or {}, home=home, overrides=given)


def problems(
    home: Path, text: str = "", environ: Mapping[str, str] | None = None, **overrides: str
) -> list[str]:
    with pytest.raises(ConfigProblem) as caught:
        loaded(home, text, environ, **overrides)
    return [problem.replace(str(home) + os.sep, "") for problem in caught.value.problems]


# Without a file ------------------------------------------------------------------------------


def test_without_a_file_this_machine_is_a_system_with_a_directory_as_store(home: Path) -> None:
    config = load_config({}, home=home)

    assert config.agent == AgentConfig("local", "local", 8, 5.0, 1.0, True, 0.0)
    assert config.store.directory == home / "store"
    assert config.store.endpoint_url.startswith("file:///")
    assert config.log.level == "INFO"
    assert config.path is None
    assert config.notices == ()


def test_reading_writes_nothing(tmp_path: Path) -> None:
    load_config({}, home=tmp_path / "none")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/u"}, "/u/.cloudq"),
        ({"HOME": "/u", "CLOUDQ_HOME": "/x"}, "/x"),
        ({"HOME": "/u", "CLOUDQ_HOME": ""}, "/u/.cloudq"),
        ({"HOME": "/u", "CLOUDQ_HOME": "~/x"}, "/u/x"),
        ({"USERPROFILE": "/users/u"}, "/users/u/.cloudq"),
    ],
)
def test_the_home_is_below_the_users_unless_moved(environ: dict[str, str], expected: str) -> None:
    assert config_home(environ) == Path(expected).absolute()


@pytest.fixture
def three_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose file and the process's variables hold different values."""
    written(tmp_path, '[agent]\nname = "file"\nprofile = "slurm"\n[client]\nname = "file"\n')
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDQ_AGENT_NAME", "variable")
    monkeypatch.setenv("CLOUDQ_STORE_ENDPOINT_URL", f"file://{tmp_path}/elsewhere")
    return tmp_path


def test_a_program_that_loads_the_configuration_gets_its_variables(three_sources: Path) -> None:
    config = cloudq.load_config()

    assert (config.home, config.agent.name, config.agent.profile) == (three_sources, "variable", "slurm")
    assert config.store.directory == three_sources / "elsewhere"


@pytest.mark.parametrize("named", [False, True])
def test_every_way_to_load_a_configuration_has_the_same_precedence(three_sources: Path, named: bool) -> None:
    path = three_sources / "config.toml" if named else None
    config = cloudq.load_config(path=path, overrides={"client.name": "argument"})

    assert (config.client.name, config.agent.name, config.agent.profile) == (
        "argument", "variable", "slurm",
    )  # fmt: skip


@pytest.mark.parametrize("way", ["loaded", "file", "nothing"])
def test_every_way_to_connect_reaches_the_store_of_the_variables(three_sources: Path, way: str) -> None:
    given = {"loaded": cloudq.load_config(), "file": three_sources / "config.toml", "nothing": None}[way]
    script = three_sources / "job.sh"
    script.write_text("#!/bin/sh\n")

    with cloudq.Client.connect(given) as client:
        client.submit(script, submit_to="kaede", force=True)

    assert (three_sources / "elsewhere").is_dir()
    assert not (three_sources / "store").exists()


def test_a_program_can_leave_its_variables_out(three_sources: Path) -> None:
    assert cloudq.load_config({}, home=three_sources).agent.name == "file"


def test_a_moved_home_holds_file_and_store(tmp_path: Path) -> None:
    written(tmp_path, '[agent]\nname = "here"\n')
    config = load_config({"CLOUDQ_HOME": str(tmp_path)})

    assert (config.agent.name, config.home) == ("here", tmp_path)
    assert config.store.directory == tmp_path / "store"


def test_a_file_that_was_asked_for_must_exist(home: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"mine\.toml: does not exist"):
        load_config({}, home=home, path=home / "mine.toml")


def test_a_file_that_was_asked_for_replaces_the_one_in_the_home(home: Path) -> None:
    written(home, '[agent]\nname = "one"\n')
    other = home / "mine.toml"
    other.write_text('[agent]\nname = "two"\n')

    assert load_config({}, home=home, path=other).agent.name == "two"


# Precedence ----------------------------------------------------------------------------------


def test_an_option_comes_before_a_variable_before_the_file_before_the_default(home: Path) -> None:
    text = '[log]\nlevel = "ERROR"\n[agent]\nnum_procs = 2\n'
    environ = {"CLOUDQ_LOG_LEVEL": "WARNING", "CLOUDQ_AGENT_NUM_PROCS": "3"}

    assert loaded(home).log.level == "INFO"
    assert loaded(home, text).log.level == "ERROR"
    assert loaded(home, text, environ).log.level == "WARNING"
    assert loaded(home, text, environ, log__level="debug").log.level == "DEBUG"
    assert loaded(home, text, environ).agent.num_procs == 3


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.dotted)
def test_every_key_can_be_set_in_the_file_and_by_its_variable(home: Path, key: ConfigKey) -> None:
    values = {
        "store.endpoint_url": ("https://s3.example.com", '"https://s3.example.com"'),
        "store.bucket": ("my-jobs", '"my-jobs"'),
        "store.addressing_style": ("path", '"path"'),
        "store.prefix": ("a/b/", '"a/b"'),
        "store.sse": ("AES256", '"AES256"'),
        "store.sse_bucket_key": (True, "true"),
        "store.checksums": ("always", '"always"'),
        "store.allow_plain_http": (True, "true"),
        "agent.num_procs": (3, "3"),
        "agent.daemon_interval": (0.5, "0.5"),
        "agent.keep_days": (2.0, "2"),
        "agent.unpinned": (False, "false"),
        "agent.handicap": (30.0, "30"),
        "agent.accept_weak_store": (True, "true"),
        "agent.allow_root": (True, "true"),
        "log.level": ("ERROR", '"ERROR"'),
    }
    section, name = key.section, key.name
    value, toml = values.get(f"{section}.{name}", ("word", '"word"'))
    needed = {"CLOUDQ_STORE_BUCKET": "jobs"} if name == "endpoint_url" else {}
    if name in {"sse_kms_key_id", "sse_bucket_key"}:
        needed = {"CLOUDQ_STORE_SSE": "aws:kms"}
    from_file = loaded(home, f"[{section}]\n{name} = {toml}\n", needed)
    from_variable = loaded(home, "", {**needed, variable_of(key): toml.strip('"')})

    assert getattr(getattr(from_file, section), name) == value
    assert getattr(getattr(from_variable, section), name) == value


@pytest.mark.parametrize("sse", ["", "AES256"])
def test_a_kms_key_without_kms_is_a_mistake(home: Path, sse: str) -> None:
    with pytest.raises(ConfigProblem, match=r"line 3, \[store\] sse_kms_key_id: has no effect without"):
        loaded(home, f'[store]\nsse = "{sse}"\nsse_kms_key_id = "alias/jobs"\n')


@pytest.mark.parametrize(
    "url",
    ["http://s3.example.com", "http://10.0.0.7:9000", "http://[fe80::1]:9000", "HTTP://127.0.0.1.example"],
)
def test_plain_http_to_another_machine_must_be_allowed(home: Path, url: str) -> None:
    text = f'[store]\nendpoint_url = "{url}"\nbucket = "jobs"\n'
    with pytest.raises(ConfigProblem, match=r"line 2, \[store\] endpoint_url: http:// sends scripts"):
        loaded(home, text)

    assert loaded(home, f"{text}allow_plain_http = true\n").store.allow_plain_http


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9000", "127.9.9.9", "localhost:9000", "s3.localhost", "[::1]:9000", "[::ffff:127.0.0.1]"],
)
def test_plain_http_to_this_machine_needs_no_word(home: Path, host: str) -> None:
    loaded(home, f'[store]\nendpoint_url = "http://{host}"\nbucket = "jobs"\n')


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("No", False), ("on", True)])
def test_a_variable_says_yes_or_no_in_the_usual_words(home: Path, text: str, value: bool) -> None:
    assert loaded(home, "", {"CLOUDQ_AGENT_UNPINNED": text}).agent.unpinned is value


def test_a_variable_that_looks_like_ours_but_is_none_is_told(home: Path) -> None:
    config = loaded(home, "", {"CLOUDQ_STORE_BUCKETT": "x", "CLOUDQ_HOME": str(home), "CLOUDQ_OTHER": "x"})

    assert config.notices == ("unknown variable CLOUDQ_STORE_BUCKETT; did you mean CLOUDQ_STORE_BUCKET?",)


# The store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "bucket", "directory"),
    [
        ("file:///data/jobs", "", "/data/jobs"),
        ("file:///data/jobs", "my-jobs", "/data/jobs/my-jobs"),
        ("file://localhost/data", "", "/data"),
        ("file:///a%20b", "", "/a b"),
        ("file:///a b", "", "/a b"),
        ("file://~/jobs", "", "/u/jobs"),
        ("FILE:///data", "", "/data"),
    ],
)
def test_a_file_url_is_a_directory_with_the_bucket_below(
    home: Path, url: str, bucket: str, directory: str
) -> None:
    environ = {"HOME": "/u", "CLOUDQ_STORE_ENDPOINT_URL": url, "CLOUDQ_STORE_BUCKET": bucket}

    assert loaded(home, "", environ).store.directory == Path(directory).absolute()


def test_a_drive_of_windows_is_no_part_of_a_path() -> None:
    assert str(StoreConfig("file:///C:/jobs").directory).startswith("C:")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ('endpoint_url = "https://s3.example.com/"', "https://s3.example.com"),
        ('endpoint_url = "http://127.0.0.1:9000"', "http://127.0.0.1:9000"),
        ('endpoint_url = "http://[::1]:9000"', "http://[::1]:9000"),
        ('endpoint_url = ""', ""),
        ("", ""),
    ],
)
def test_a_bucket_makes_it_s3_and_without_an_endpoint_amazons_own(home: Path, text: str, url: str) -> None:
    store = loaded(home, f'[store]\nbucket = "my-jobs"\n{text}\n').store

    assert (store.endpoint_url, store.bucket, store.directory) == (url, "my-jobs", None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('endpoint_url = "https://s3.example.com"', "config.toml line 2, [store] endpoint_url"),
        ('bucket = ""', "config.toml line 2, [store] bucket"),
        ('endpoint_url = "https://h"\nbucket = ""', "config.toml line 3, [store] bucket"),
    ],
)
def test_s3_needs_a_bucket(home: Path, text: str, place: str) -> None:
    [problem] = problems(home, f"[store]\n{text}\n")

    assert problem == (
        f"{place}: an S3 store needs a bucket, and [store] bucket is empty: "
        "name one there or in CLOUDQ_STORE_BUCKET"
    )


@pytest.mark.parametrize(
    "name",
    [
        "ab", "a" * 64, "Jobs", "my_jobs", "-jobs", "jobs-", "a..b", "a/b", "192.168.0.1", "xn--jobs",
        "jobs-s3alias", "a b", "jobs\n",
    ],
)  # fmt: skip
def test_a_bucket_name_that_no_service_takes_is_refused(home: Path, name: str) -> None:
    [problem] = problems(home, "", {"CLOUDQ_STORE_BUCKET": name})

    assert problem.startswith(f"variable CLOUDQ_STORE_BUCKET: {name!r} is not a bucket name")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3.example.com", "neither file:///dir nor http"),
        ("ftp://x", "neither file:///dir nor http"),
        ("s3://jobs", "neither file:///dir nor http"),
        ("file://dir", "does not name a directory"),
        ("file://", "does not name a directory"),
        ("file:///a/../b", "'..'"),
        ("https://", "is not http"),
        ("https://h/?x=1", "is not http"),
        ("https://h:port", "is not a URL"),
        ("https://a b", "is not http"),
        ("https://user:hunter2@h", "holds a user name or password"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(home: Path, url: str, says: str) -> None:
    [problem] = problems(home, "", {"CLOUDQ_STORE_ENDPOINT_URL": url, "CLOUDQ_STORE_BUCKET": "jobs"})

    assert says in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("prefix", "kept"), [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("a.b_c-d", "a.b_c-d/")]
)
def test_a_prefix_is_kept_with_one_slash_at_its_end(home: Path, prefix: str, kept: str) -> None:
    assert loaded(home, "", {"CLOUDQ_STORE_PREFIX": prefix}).store.prefix == kept


@pytest.mark.parametrize("prefix", ["a//b", "../a", "a/.b", "a b", "a\\b", "é"])
def test_a_prefix_that_no_store_could_hold_is_refused(home: Path, prefix: str) -> None:
    assert "is not a prefix" in problems(home, "", {"CLOUDQ_STORE_PREFIX": prefix})[0]


# Names ---------------------------------------------------------------------------------------


def test_a_capital_in_a_name_is_lowered_and_told(home: Path) -> None:
    config = loaded(home, '[agent]\nname = "ABCI"\n')

    assert config.agent.name == "abci"
    assert len(config.notices) == 1
    assert "line 2, [agent] name: names are lower case: 'ABCI' is taken as 'abci'" in config.notices[0]


def test_projects_and_resources_are_mapped_by_system(home: Path) -> None:
    config = loaded(
        home,
        '[projects.imaging]\nABCI = "gaa50000"\n'
        '[resources."big node"]\nmycluster = "--gpus={n}"\nabci = "rt_F"\n',
    )

    assert config.projects == {"imaging": {"abci": "gaa50000"}}
    assert config.resources == {"big node": {"mycluster": "--gpus={n}", "abci": "rt_F"}}


def test_options_of_a_resource_that_cannot_be_used_are_named_with_their_place(home: Path) -> None:
    text = '[projects.imaging]\nabci = "-x"\n[resources.gpu]\nabci = "--gpus={x}"\nkaede = "-l \'a"\n'

    assert problems(home, text) == [
        "config.toml line 2, [projects.imaging] abci: '-x': begins with '-' and would be taken for an option",
        "config.toml line 4, [resources.gpu] abci: '--gpus={x}': unknown field {x} (known: {n})",
        (
            'config.toml line 5, [resources.gpu] kaede: options "-l \'a" cannot be split into words: '
            "No closing quotation"
        ),
    ]


# Problems ------------------------------------------------------------------------------------

BAD = """\
bucket = "jobs"
agent = 3
[store]
buckett = "a"
region = "Tokyo!"
addressing_style = "vhost"
[log]
level = "LOUD"
num_procs = 4
[projects]
imaging = "x"
[projects.P]
ABCI = "x"
abci = "y"
other = 3
"a b" = "z"
[resource.x]
abci = "y"
"""


def test_every_problem_is_named_with_its_place_and_what_may_be_meant(home: Path) -> None:
    not_a_system = (
        "'a b' is not a system name: lower-case letters, digits, '-' and '_', "
        "beginning with a letter or digit, 63 at most"
    )

    assert problems(home, BAD, {"CLOUDQ_AGENT_HANDICAP": "soon"}, agent__keep_days="-1") == [
        "config.toml line 1, bucket: unknown key; did you mean [store] bucket?",
        "config.toml line 2, agent: must be a section, [agent]",
        "config.toml line 4, [store] buckett: unknown key; did you mean bucket?",
        "config.toml line 5, [store] region: 'Tokyo!' is not a region such as us-east-1",
        "config.toml line 6, [store] addressing_style: must be one of auto, path, virtual, not 'vhost'",
        "config.toml line 8, [log] level: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not 'LOUD'",
        "config.toml line 9, [log] num_procs: unknown key; did you mean [agent] num_procs?",
        'config.toml line 11, [projects] imaging: must be a section, [projects.imaging] and SYSTEM = "value"',
        "config.toml line 14, [projects.P] abci: abci is already set",
        "config.toml line 15, [projects.P] other: must be a printable text in quotes, not 3",
        f"config.toml line 16, [projects.P] a b: {not_a_system}",
        "config.toml line 17, resource: unknown section; did you mean resources?",
        "variable CLOUDQ_AGENT_HANDICAP: must be a number, not 'soon'",
        "option --agent_keep_days: must be between 0 and 3650, not -1.0",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('num_procs = "8"', "must be a whole number, not '8'"),
        ("num_procs = 8.0", "must be a whole number, not 8.0"),
        ("num_procs = true", "must be a whole number, not True"),
        ("num_procs = 0", "must be between 1 and 1024, not 0"),
        ("daemon_interval = nan", "must be between 0.1 and 3600, not nan"),
        ("daemon_interval = inf", "must be between 0.1 and 3600, not inf"),
        ("unpinned = 1", "must be true or false, not 1"),
        ("name = 3", "must be a text in quotes, not 3"),
        ('name = ""', "is not a system name"),
        ('name = "a.b"', "is not a system name"),
        ('name = ["a"]', "must be a text in quotes, not ['a']"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(home: Path, line: str, says: str) -> None:
    [problem] = problems(home, f"# words\n[agent]\n{line}\n")

    assert problem.startswith("config.toml line 3, [agent] ")
    assert says in problem


@pytest.mark.parametrize(
    "text",
    [
        '[store]\naws_secret_access_key = "hunter2"\n',
        '[store]\nbucket = "AKIAHUNTER2HUNTER200"\n',
        '[aws]\npassword = "hunter2"\n',
        '[aws]\nkeys = { secret_key = "hunter2" }\n',
        '[projects.p]\naws_secret_access_key = "hunter2"\n',
        '[resources.r]\nabci = "AKIAHUNTER2HUNTER200"\n',
    ],
)
def test_a_secret_is_refused_and_not_repeated(home: Path, text: str) -> None:
    [problem] = problems(home, text)

    assert "secrets do not belong here" in problem
    assert "hunter2" not in problem.lower()


def test_a_secret_in_a_variable_is_refused_and_not_repeated(home: Path) -> None:
    [problem] = problems(home, "", {"CLOUDQ_STORE_PROFILE": "AKIAHUNTER2HUNTER200"})

    assert "secrets do not belong here" in problem
    assert "HUNTER2" not in problem


def test_broken_toml_is_refused_with_its_line(home: Path) -> None:
    [problem] = problems(home, '[store]\nbucket = "jobs\n')

    assert problem.startswith("config.toml: not TOML: ")
    assert "line 2" in problem


def test_a_number_beyond_all_reason_is_refused(home: Path) -> None:
    assert len(problems(home, f"[agent]\nnum_procs = {'9' * 5_000}\n")) == 1


def test_bytes_that_are_no_text_are_refused(home: Path) -> None:
    (home / "config.toml").write_bytes(b"[store]\nbucket = '\xff'\n")
    with pytest.raises(ConfigProblem, match="not UTF-8 text"):
        load_config({}, home=home)


def test_the_mark_that_some_editors_put_at_the_beginning_does_no_harm(home: Path) -> None:
    assert loaded(home, '\ufeff[agent]\nname = "here"\n').agent.name == "here"


def test_a_file_that_cannot_be_read_is_refused(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(ConfigProblem, match="cannot be read"):
        load_config({}, home=home)


def test_a_file_larger_than_any_configuration_is_not_read(home: Path) -> None:
    written(home, "#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigProblem, match="too large for a configuration file"):
        load_config({}, home=home)
