"""Logging: readable, bounded, private to the user, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import WorkspaceProblem
from cloudq.entrypoints.shared import logging as cloudq_logging
from cloudq.entrypoints.shared.logging import LOG_FILE, configure_logging, make_printable, redact

KEY_ID = "AKIAABCDEFGHIJKLMNOP"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _put_logging_back() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    root = logging.getLogger()
    for handler in [h for h in root.handlers if getattr(h, "is_cloudq", False)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def logger() -> Any:
    return structlog.get_logger("cloudq.test")


def cleaned(**event: object) -> dict[str, Any]:
    return dict(redact(None, "info", dict(event)))


# Secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["aws_secret_access_key", "secret", "session_token", "Token", "password", "passwd", "Authorization",
     "X-Amz-Signature", "credentials", "access_key", "api_key", "apikey"],
)  # fmt: skip
def test_what_is_secret_by_its_name_is_hidden(name: str) -> None:
    assert cleaned(**{name: "hunter2"}) == {name: "[hidden]"}


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY_ID} refused",
        "ASIAABCDEFGHIJKLMNOP",
        "aws_secret_access_key = hunter2",
        'AWS_SESSION_TOKEN="hunter2"',
        '{"SecretAccessKey": "hunter2"}',
        "{'password': 'hunter2'}",
        "https://user:hunter2@s3.example.com/jobs",
        "https://h/jobs?X-Amz-Signature=hunter2&x=1",
        "Authorization: Bearer hunter2",
        "MY_TOKEN=hunter2 cmd",
    ],
)
def test_what_is_secret_by_its_look_is_hidden_wherever_it_stands(text: str) -> None:
    for event in (
        cleaned(event=text),
        cleaned(event="x", inner={"list": [text]}),
        cleaned(error=OSError(text)),
    ):
        shown = str(event)

        assert "hunter2" not in shown
        assert KEY_ID not in shown
        assert "[hidden]" in shown


def test_what_is_around_a_secret_stays() -> None:
    assert cleaned(event="MY_TOKEN=hunter2 cmd --x") == {"event": "MY_TOKEN=[hidden] cmd --x"}


@pytest.mark.parametrize(
    "event",
    [
        {"event": "job taken", "job": "3f7e7681", "n": 1, "seconds": 0.5, "ok": True, "none": None},
        {"event": "passed on to node1:22", "url": "https://s3.example.com:443/jobs"},
        {"event": "the token bucket is full"},
    ],
)
def test_what_is_no_secret_stays_as_it_is(event: dict[str, object]) -> None:
    assert cleaned(**event) == event


def test_values_that_go_on_for_ever_are_cut() -> None:
    endless: dict[str, Any] = {}
    endless["more"] = endless

    assert "…" in str(cleaned(event=endless))


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.lists(st.text(max_size=20)), max_size=4)
)
def test_no_event_breaks_the_hiding(event: dict[str, Any]) -> None:
    assert make_printable(None, "info", redact(None, "info", event)) is event


# Destinations and formats --------------------------------------------------------------------


def test_a_pipe_gets_plain_readable_lines() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, environ={})
    logger().info("job taken", job="3f7e7681", password="hunter2")

    [line] = stream.getvalue().splitlines()
    assert "job taken" in line
    assert "job=3f7e7681" in line
    assert "password=[hidden]" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_gets_colours_unless_its_user_wants_none(
    environ: dict[str, str], is_coloured: bool
) -> None:
    stream = Terminal()
    configure_logging("INFO", stream=stream, environ=environ)
    logger().warning("careful")

    assert ("\x1b" in stream.getvalue()) is is_coloured


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure_logging("WARNING", stream=stream, environ={})
    logger().info("small talk")
    logger().error("trouble")

    assert "small talk" not in stream.getvalue()
    assert "trouble" in stream.getvalue()


def test_the_file_gets_lines_that_people_can_read(tmp_path: Path) -> None:
    configure_logging("INFO", directory=tmp_path / "log", stream=io.StringIO(), environ={})
    logger().info("job taken", job="3f7e7681")

    text = (tmp_path / "log" / LOG_FILE).read_text(encoding="utf-8")
    assert "job taken" in text
    assert "job=3f7e7681" in text
    assert "\x1b" not in text


def test_the_file_gets_lines_that_programs_can_read(tmp_path: Path) -> None:
    configure_logging("INFO", directory=tmp_path, stream=io.StringIO(), environ={}, json_lines=True)
    logger().info("ジョブ", job="3f7e7681", where=Path("/x"), secret="hunter2")

    [line] = (tmp_path / LOG_FILE).read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "ジョブ", "job": "3f7e7681", "where": "/x", "secret": "[hidden]", "level": "info",
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_the_file_is_for_this_user_alone_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudq_logging, "MAX_FILE_BYTES", 2_000)
    directory = tmp_path / "log"
    configure_logging("INFO", directory=directory, stream=io.StringIO(), environ={})
    for number in range(500):
        logger().info("again", number=number)

    files = list(directory.iterdir())
    assert len(files) == 1 + cloudq_logging.OLD_FILES
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(WorkspaceProblem, match="cannot be written"):
        configure_logging("INFO", directory=tmp_path / "log", stream=io.StringIO())


def test_other_libraries_log_the_same_way_and_keep_their_secrets() -> None:
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, environ={})
    logging.getLogger("some.library").info("sent %s", "token=hunter2")
    logging.getLogger("botocore.auth").debug("CanonicalRequest: …")

    assert "sent token=[hidden]" in stream.getvalue()
    assert "CanonicalRequest" not in stream.getvalue()


def test_a_traceback_keeps_its_lines_but_not_its_secrets() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, environ={})
    try:
        int("password=hunter2")
    except ValueError:
        logger().exception("failed")

    assert "Traceback" in stream.getvalue()
    assert "ValueError: invalid literal for int() with base 10: 'password=[hidden]'" in stream.getvalue()


def test_text_of_others_forges_no_line_and_steers_no_terminal() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, environ={})
    logger().info("said: a\n2026 [error] forged\x1b[2J\udc80", name="b\r\nc")

    [line] = stream.getvalue().splitlines()
    assert r"a\n2026 [error] forged\x1b[2J\udc80" in line


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("INFO", stream=first, environ={})
    configure_logging("INFO", stream=second, environ={})
    logger().info("once")

    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
