"""The collection end to end: two of it always, all of it in the long run."""

import os
from pathlib import Path

import pytest

from tests.tasks.__main__ import main, table
from tests.tasks.assignment import assignments
from tests.tasks.playing import Outcome, workshop

SHORT = ("sharp-s", "more-units")
"""A quick one that takes a fix pass, and one in slices that may not all be coded at once."""
GOOD = Outcome("a", "quick", "merged", "", 9, 0, 0.5, 1.2, failed_before=True, pass_after=True)


@pytest.mark.e2e
def test_real_small_tasks_are_merged_and_their_tests_show_it(tmp_path: Path) -> None:
    chosen = assignments(() if os.environ.get("WORKTRAIN_LONG") else SHORT)
    with workshop(tmp_path, chosen) as shop:
        outcomes = [shop.play(one) for one in chosen]
    told = table(outcomes)
    assert all(one.good for one in outcomes), told
    assert [one.pipeline for one in outcomes] == [one.pipeline for one in chosen], told
    assert [one.passes for one in outcomes] == [int(one.finding is not None) for one in chosen]
    assert all(one.turns > 0 and one.cost_usd > 0 for one in outcomes), told


def test_the_table_says_what_each_took_and_why_one_is_not_good() -> None:
    bad = Outcome("b", "", "escalated", "look here", 1, 2, 0.25, 3, False, False)
    assert table([GOOD, bad]).splitlines() == [
        "task    pipeline  ending     turns  passes  cost   minutes  tests",
        "a       quick     merged     9      0       $0.50  1.2      failed before, pass now",
        "b       -         escalated  1      2       $0.25  3.0      -",
        "1 of 2                       10     2       $0.75  4.2",
        "",
        "b: look here",
    ]


@pytest.mark.parametrize("missing", ["failed_before", "pass_after"])
def test_merged_alone_is_not_good(missing: str) -> None:
    assert GOOD.good
    assert not Outcome(**{**GOOD.__dict__, missing: False}).good


def test_a_task_that_there_is_not_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    said = capsys.readouterr().err
    assert "there is no task nothing; there are" in said
    assert "half-cent" in said
