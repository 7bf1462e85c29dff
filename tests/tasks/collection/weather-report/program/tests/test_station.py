from pathlib import Path

import pytest
from station.__main__ import main
from station.figures import mean
from station.reading import measurements


def test_empty_lines_are_no_measurements() -> None:
    assert measurements(["1.5", "", "2"]) == [1.5, 2.0]


def test_there_is_no_mean_of_nothing() -> None:
    with pytest.raises(ValueError, match="no measurements"):
        mean([])


def test_the_mean_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "day").write_text("1\n2\n\n3.3\n")
    assert main([str(tmp_path / "day")]) == 0
    assert capsys.readouterr().out == "2.1\n"
