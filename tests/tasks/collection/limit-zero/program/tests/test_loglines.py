from pathlib import Path

import pytest
from loglines import main


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "log"
    path.write_text("first\nsecond\nthird\n")
    return str(path)


def test_without_a_limit_everything_is_printed(
    log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([log]) == 0
    assert capsys.readouterr().out == "third\nsecond\nfirst\n"


def test_a_limit_keeps_the_newest(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([log, "--limit", "2"])
    assert capsys.readouterr().out == "third\nsecond\n"


def test_a_limit_of_0_prints_nothing(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([log, "--limit", "0"])
    assert capsys.readouterr().out == ""
