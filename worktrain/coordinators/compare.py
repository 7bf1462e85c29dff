"""Base against candidate: what became of every test, and what that says of a change."""

from collections.abc import Iterable

from worktrain.contracts.base import Value
from worktrain.contracts.proof import CheckComparison, CheckEnding, CheckRun, Verification

NAMED_MAX = 10
"""Test ids named in a sentence; the proof record has them all."""
UNNAMED = "(unnamed test"
"""What the id of a test begins with that a runner counted and did not name."""


class Judgement(Value):
    """What the checks say. `mendable`: a change of the code could alter it."""

    reasons: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    mendable: bool = True

    @property
    def passed(self) -> bool:
        return not self.reasons


class Compared(Value):
    """What became of the tests of one check, by their ids, sorted. Those without a name are in
    none of these."""

    newly_failing: tuple[str, ...] = ()
    """Fail on the candidate and did not on the base, or were not there."""
    newly_passing: tuple[str, ...] = ()
    """Pass on the candidate and failed or were skipped on the base."""
    vanished: tuple[str, ...] = ()
    """Ran on the base and are not in the candidate's report at all."""
    newly_skipped: tuple[str, ...] = ()
    """Passed on the base and are skipped on the candidate."""
    errors: tuple[str, ...] = ()
    """Fail on the candidate without having come to an assertion."""
    flaky: tuple[str, ...] = ()
    """Known to fail by chance: failed on the candidate, then passed there."""


def judge(verification: Verification) -> Judgement:
    """Base against candidate, check by check."""
    reasons: list[str] = []
    notices: list[str] = []
    mendable = True
    for pair in verification.checks:
        judged = _judge(pair)
        reasons += judged.reasons
        notices += judged.notices
        mendable = mendable and judged.mendable
    if not verification.checks:
        notices.append("no verify commands are configured, so nothing was run")
    return Judgement(reasons=tuple(reasons), notices=tuple(notices), mendable=mendable)


def compared(pair: CheckComparison) -> Compared:
    """Every difference between the two sides that can be named."""
    base, candidate = pair.base, pair.candidate
    ran_before = _names(base.passed, base.failed)
    passed, failed = _names(candidate.passed), _names(candidate.failed)
    skipped = _names(candidate.skipped)
    return Compared(
        newly_failing=_sorted(failed - _names(base.failed)),
        newly_passing=_sorted(passed & _names(base.failed, base.skipped)),
        vanished=_sorted(ran_before - passed - failed - skipped),
        newly_skipped=_sorted(_names(base.passed) & skipped - passed - failed),
        errors=_sorted(failed & set(candidate.errors)),
        flaky=_sorted(_names(candidate.flaky)),
    )


def _judge(pair: CheckComparison) -> Judgement:
    base, candidate = pair.base, pair.candidate
    name = f"check {pair.name!r}"
    match candidate.ending:
        case CheckEnding.MISSING:
            return Judgement(
                reasons=(
                    f"{name} could not run: `{candidate.command}` was not found "
                    f"(exit code {candidate.exit_code}); install what it needs on this machine. "
                    f"To change the command itself, correct .worktrain/config.yml on the base "
                    f"branch, reject, and run the task again",
                ),
                mendable=base.ending is not CheckEnding.MISSING,
            )
        case CheckEnding.TIMED_OUT:
            return Judgement(
                reasons=(
                    f"{name} was still running after {candidate.seconds:.0f} s and was stopped; "
                    f"if it needs longer, raise its timeout_s in .worktrain/config.yml on the base "
                    f"branch, reject, and run the task again",
                ),
                mendable=base.ending is not CheckEnding.TIMED_OUT,
            )
        case CheckEnding.PASSED:
            return _judge_passed(pair)
        case CheckEnding.FAILED:
            return _judge_failed(pair)


def _judge_passed(pair: CheckComparison) -> Judgement:
    found, failed = compared(pair), pair.candidate.failed
    if not failed:
        return Judgement(reasons=_losses(pair, found), notices=_notices(pair, found))
    same_before = bool(pair.base.failed) and pair.base.ending is CheckEnding.PASSED
    reason = (
        f"check {pair.name!r} ended with exit code 0 although its report names failures: "
        f"{_listed(failed, found.errors)}; its command must end with the exit code of its tests"
    )
    return Judgement(
        reasons=(reason, *_losses(pair, found)),
        notices=_notices(pair, found),
        mendable=bool(found.newly_failing) or not same_before,
    )


def _judge_failed(pair: CheckComparison) -> Judgement:
    base, candidate = pair.base, pair.candidate
    name, found = f"check {pair.name!r}", compared(pair)
    # Without a report of this side everything would look lost; that it failed says enough.
    losses = () if candidate.passed is None else _losses(pair, found)
    notices = _notices(pair, found)
    if base.ending is not CheckEnding.FAILED:
        newly = found.newly_failing
        which = f": {_listed(newly, found.errors)}" if newly else _exit_code(candidate)
        return Judgement(reasons=(f"{name} fails{which}", *losses), notices=notices)
    before, now = _names(base.failed), _names(candidate.failed)
    if found.newly_failing and before:
        where = _listed(found.newly_failing, found.errors)
        return Judgement(reasons=(f"{name} fails in new places: {where}", *losses), notices=notices)
    if not before or len(now) != len(candidate.failed or ()) or not now:
        return Judgement(
            reasons=(
                f"{name} fails on the base as well, and without a report nobody can tell whether "
                f"the same tests fail; give it a `report` in .worktrain/config.yml, or mend the "
                f"base first",
            ),
            notices=notices,
            mendable=False,
        )
    known = f"{name}: failed before this task and still fails: {_listed(now, found.errors)}"
    return Judgement(reasons=losses, notices=(known, *notices))


def _losses(pair: CheckComparison, found: Compared) -> tuple[str, ...]:
    """Tests that the candidate does not run any more, by name or at least by number."""
    name = f"check {pair.name!r}"
    passed_before = _names(pair.base.passed)
    gone = [test for test in found.vanished if test in passed_before]
    lost = [*gone, *found.newly_skipped]
    reasons = []
    if lost:
        listed = _listed(lost, found.newly_skipped, "skipped")
        reasons.append(f"{name}: tests that passed on the base are gone or skipped: {listed}")
    before, now = _total(pair.base), _total(pair.candidate)
    if before and not now:
        reasons.append(
            f"{name} reports no test at all, where the base has {before}; see that it still runs "
            f"them and writes its report"
        )
    elif now < before and not lost:
        reasons.append(
            f"{name} reports {now} tests where the base has {before}, although none that passed "
            f"there is missing by name; say which went and why, or bring them back"
        )
    return tuple(reasons)


def _notices(pair: CheckComparison, found: Compared) -> tuple[str, ...]:
    name, notices = f"check {pair.name!r}", []
    if found.flaky:
        notices.append(
            f"{name}: known to be flaky, failed and then passed when the check ran once more: "
            f"{_listed(found.flaky)}"
        )
    failed_before = _names(pair.base.failed)
    gone = [test for test in found.vanished if test in failed_before]
    if gone and pair.candidate.passed is not None:
        notices.append(f"{name}: failed on the base and are not there any more: {_listed(gone)}")
    return tuple(notices)


def _exit_code(run: CheckRun) -> str:
    return f" with exit code {run.exit_code}"


def _total(run: CheckRun) -> int:
    return sum(len(tests or ()) for tests in (run.passed, run.failed, run.skipped))


def _names(*groups: tuple[str, ...] | None) -> set[str]:
    return {test for group in groups for test in group or () if not test.startswith(UNNAMED)}


def _sorted(tests: set[str]) -> tuple[str, ...]:
    return tuple(sorted(tests))


def _listed(tests: Iterable[str], marked: Iterable[str] = (), mark: str = "error") -> str:
    """The first of them, in order; those that are `marked` carry the mark."""
    named, special = sorted({*tests}), {*marked}
    shown = [f"{test} ({mark})" if test in special else test for test in named[:NAMED_MAX]]
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    return ", ".join(shown) + more
