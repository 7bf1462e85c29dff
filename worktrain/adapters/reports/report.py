"""A test report, whatever it was read from."""

from collections.abc import Iterable
from dataclasses import dataclass

from worktrain.contracts.base import digest

TESTS_MAX = 200_000
ID_CHARACTERS_MAX = 300

_GRAVITY = {"skipped": 0, "passed": 1, "error": 2, "failed": 3}


@dataclass(frozen=True)
class TestReport:
    """Test ids, each in one of three, sorted; `errors` are those of `failed` that did not come
    to an assertion."""

    __test__ = False

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    errors: tuple[str, ...] = ()
    passed_unnamed: int = 0
    """Further tests that were counted and not named."""
    failed_unnamed: int = 0
    skipped_unnamed: int = 0


@dataclass(frozen=True)
class Counts:
    """How many tests a runner says there were, named or not."""

    passed: int = 0
    failed: int = 0
    """Errors included."""
    skipped: int = 0


def reported(outcomes: Iterable[tuple[str, str]], counts: Counts | None = None) -> TestReport:
    """A report of (id, outcome) pairs: passed, failed, error or skipped. A test may come more
    than once (a teardown that failed): its gravest outcome stands.

    Raises ValueError for more tests than any project has.
    """
    gravest: dict[str, str] = {}
    for test, outcome in outcomes:
        known = gravest.get(test, outcome)
        gravest[test] = max(known, outcome, key=_GRAVITY.__getitem__)
        if len(gravest) > TESTS_MAX:
            raise ValueError(f"it names more than {TESTS_MAX:,} tests")
    by_outcome: dict[str, list[str]] = {outcome: [] for outcome in _GRAVITY}
    for test in sorted(gravest):
        by_outcome[gravest[test]].append(test)
    passed, skipped, errors = (tuple(by_outcome[o]) for o in ("passed", "skipped", "error"))
    failed = tuple(sorted((*by_outcome["failed"], *errors)))
    said = counts or Counts()
    unnamed = [
        max(0, said.passed - len(passed)),
        max(0, said.failed - len(failed)),
        max(0, said.skipped - len(skipped)),
    ]
    if sum(unnamed) > TESTS_MAX:
        raise ValueError(f"it counts more than {TESTS_MAX:,} tests")
    return TestReport(passed, failed, skipped, errors, *unnamed)


def shortened(test: str) -> str:
    """A test's id, which a digest keeps apart from others where it is too long."""
    if len(test) <= ID_CHARACTERS_MAX:
        return test
    return f"{test[: ID_CHARACTERS_MAX - 13]}…{digest(test)[:12]}"
