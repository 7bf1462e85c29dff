"""A log line is JSON, says which process wrote it, and holds no secret."""

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from worktrain.telemetry import MASK, Redaction, setup


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """The process gets its own logging back."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [h for h in root.handlers if h.get_name() == "worktrain"]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_ways_to_log_end_in_the_same_line() -> None:
    stream = io.StringIO()
    setup("worker", "info", stream=stream)
    logging.getLogger("one").info("step finished: %s", "plan", extra={"turns": 3})
    structlog.get_logger("two").info("step finished", turns=3)
    logging.getLogger("one").debug("not shown")
    first, second = lines(stream)
    assert first["event"] == "step finished: plan"
    assert second["event"] == "step finished"
    for line in (first, second):
        assert line["process"] == "worker"
        assert line["turns"] == 3
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")


def test_a_secret_is_masked_wherever_it_stands() -> None:
    stream = io.StringIO()
    setup("worker", stream=stream, secrets=["hunter2-secret"])
    log = structlog.get_logger("x")
    log.info(
        "it is hunter2-secret", deep={"a": [("hunter2-secret",)]}, path=Path("/hunter2-secret")
    )
    logging.getLogger("y").warning("it is %s", "hunter2-secret", extra={"hunter2-secret": 1})
    try:
        raise ValueError("hunter2-secret")
    except ValueError:
        logging.getLogger("y").exception("failed")
    assert len(lines(stream)) == 3
    assert "hunter2" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-AbCdEf_123-456789",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "ghs_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0123456789_abcdefghijkl",
        "glpat-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln",
        "MIIEpAIBAAKCAQEA7bq",
    ],
)
def test_what_looks_like_a_secret_is_masked_without_being_known(secret: str) -> None:
    text = {
        "eyJ": f"Authorization: Bearer {secret} sent",
        "MII": f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n{secret}",
    }.get(secret[:3], f"before {secret} after")
    masked = Redaction().text(text)
    assert secret not in masked
    assert MASK in masked


def test_what_stands_around_a_secret_stays() -> None:
    redaction = Redaction(["longer-secret-value", "longer-secret"])
    assert redaction.text("a longer-secret-value b") == f"a {MASK} b"
    assert redaction.text("https://me:pa55w0rd@host/x") == f"https://me:{MASK}@host/x"
    for plain in ("skipping the task", "the bearer of news", "http://host:8080/a@b", "2:1: x"):
        assert redaction.text(plain) == plain
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nrest"
    assert redaction.text(key).endswith("rest")
    assert Redaction(["", "abc"]).text("abc") == "abc"


def test_hostile_text_is_masked_in_time_that_grows_with_its_length() -> None:
    began = time.monotonic()
    for text in ("-----BEGIN PRIVATE KEY-----", "://a:b", "bearer ", "sk-", "ghp_", "x-api-key: "):
        Redaction(["known-secret"]).text(text * 20_000)
    assert time.monotonic() - began < 5


def test_a_second_setup_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    setup("one", stream=first)
    setup("two", "warning", stream=second)
    logging.getLogger("x").info("not shown")
    logging.getLogger("x").warning("shown")
    assert first.getvalue() == ""
    assert [line["process"] for line in lines(second)] == ["two"]


def test_a_file_is_private(tmp_path: Path) -> None:
    setup("gateway", file=tmp_path / "logs" / "gateway.log")
    logging.getLogger("x").info("written")
    assert (tmp_path / "logs" / "gateway.log").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "logs" / "gateway.log").read_text())["event"] == "written"


def test_importing_it_does_not_import_structlog() -> None:
    code = "import sys, worktrain.telemetry; sys.exit('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
