"""Evidence: the project's own checks, run by WorkTrain on base and candidate."""

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from worktrain.activities.sandbox import readable
from worktrain.adapters import junit
from worktrain.adapters.shells import Command, CommandResult, Shell
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.base import digest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.proof import (
    CheckComparison,
    CheckEnding,
    CheckRun,
    Verification,
    VerifyRequest,
)
from worktrain.contracts.workspace import CommitRef, VerifyCommand

TAIL_CHARACTERS_MAX = 2_000
TEST_IDS_BYTES_MAX = 1_000_000
"""Of one verification: a result above 2 MiB would be refused by the server for ever."""


async def verify(
    request: VerifyRequest,
    workspaces: Workspaces,
    shell: Shell,
    scratch: Path,
    progress: Callable[[str], None],
) -> Verification:
    """Run every check on the base, then on the candidate, each side in a clean checkout below
    `scratch` that is gone afterwards. Collects facts and judges nothing.

    Raises `AdapterError`: whatever the workspaces and the shell raise.
    """
    place = scratch / f"verify-{digest(request.pipeline)[:16]}"
    base, candidate = [
        await _side(request, workspaces, shell, place / side, at, _told(progress, side))
        for side, at in (("base", request.base), ("candidate", request.candidate))
    ]
    checks = [
        CheckComparison(name=command.name, base=before, candidate=after)
        for command, before, after in zip(request.commands, base, candidate, strict=True)
    ]
    return Verification(base=request.base, candidate=request.candidate, checks=_bounded(checks))


async def _side(
    request: VerifyRequest,
    workspaces: Workspaces,
    shell: Shell,
    place: Path,
    at: CommitRef,
    progress: Callable[[str], None],
) -> list[CheckRun]:
    root, reports = place / "checkout", place / "reports"
    progress("checking out")
    try:
        await workspaces.checkout(request.repo, at.commit, root)
        _make(reports)
        return [
            await _check(request, shell, root, reports, at, command, progress)
            for command in request.commands
        ]
    finally:
        # Each of the two may fail; what remains is replaced by the next attempt.
        await asyncio.to_thread(_remove, reports)
        await workspaces.discard(request.repo, root)


async def _check(
    request: VerifyRequest,
    shell: Shell,
    root: Path,
    reports: Path,
    at: CommitRef,
    command: VerifyCommand,
    progress: Callable[[str], None],
) -> CheckRun:
    progress(f"running {command.name}")
    report, env = _report_place(command, root, reports)
    # One that is committed, or left by an earlier check, is not what this run found out.
    unusable = _clear(report, root, reports)
    result = await shell.run(
        Command(
            line=command.run,
            cwd=root,
            writable=(root, reports),
            readable=readable(request.sandbox),
            timeout_s=command.timeout_s,
            env=env,
            network=request.sandbox.network,
        ),
        lambda words: progress(f"{command.name}: {words}"),
    )
    tests = None
    try:
        # A parent that became a link during the run would lead out of the checkout.
        if unusable is None and _inside(report, root, reports):
            tests = await asyncio.to_thread(junit.read, report)
    except ValueError as error:
        unusable = str(error)
    tail = _tail(result, "" if unusable is None else f"[test report not used: {unusable}]")
    return CheckRun(
        name=command.name,
        command=command.run,
        at=at,
        ending=_ending(result),
        exit_code=result.exit_code,
        seconds=round(result.seconds, 3),
        passed=tests and tests.passed,
        failed=tests and tests.failed,
        skipped=tests and tests.skipped,
        tail=tail,
    )


def _report_place(command: VerifyCommand, root: Path, reports: Path) -> tuple[Path, dict[str, str]]:
    """Where the report will be, and the environment that makes pytest write it there."""
    if command.report is not None:
        return root / command.report, {}
    report = reports / f"{digest(command.name)[:16]}.xml"
    options = f"--junitxml={shlex.quote(str(report))} -o junit_family=xunit2"
    return report, {"PYTEST_ADDOPTS": options}


def _inside(report: Path, *folders: Path) -> bool:
    parent = Path(os.path.realpath(report.parent))
    return any(parent.is_relative_to(os.path.realpath(folder)) for folder in folders)


def _clear(report: Path, root: Path, reports: Path) -> str | None:
    """Remove a report that is there already; why it cannot be, if it cannot."""
    if not _inside(report, root, reports):
        return "its path leads out of the checkout"
    try:
        report.unlink(missing_ok=True)
    except OSError as error:
        return f"an older one cannot be removed ({error.strerror})"
    return None


def _make(reports: Path) -> None:
    try:
        reports.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"Making {reports} for test reports failed: {error.strerror}; check that the state "
            "directory may be written and has space.",
        ) from error


def _remove(reports: Path) -> None:
    """The checks could write there: whatever they did to it must not fail the verification."""
    with suppress(OSError, RecursionError):
        shutil.rmtree(reports)


def _ending(result: CommandResult) -> CheckEnding:
    if result.exit_code is None:
        return CheckEnding.TIMED_OUT
    named = {0: CheckEnding.PASSED, 126: CheckEnding.MISSING, 127: CheckEnding.MISSING}
    return named.get(result.exit_code, CheckEnding.FAILED)


def _tail(result: CommandResult, note: str) -> str:
    lost = result.output_bytes - len(result.output.encode())
    if lost > 0:
        note = f"[{lost} more bytes of output were not kept]\n{note}".strip()
    room = TAIL_CHARACTERS_MAX - len(note) - 1
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", result.output)[-room:]
    return f"{text}\n{note}" if note else text


def _told(progress: Callable[[str], None], side: str) -> Callable[[str], None]:
    return lambda words: progress(f"{side}: {words}")


def _bounded(checks: list[CheckComparison]) -> tuple[CheckComparison, ...]:
    """Keep the record within what may travel.

    A candidate's passed tests that the base does not know go first: what a comparison needs is
    what became of the base's. If that is not enough the largest checks lose all ids, both sides.
    """
    if sum(map(_ids_bytes, checks)) > TEST_IDS_BYTES_MAX:
        checks = [_without_new(check) for check in checks]
    while sum(map(_ids_bytes, checks)) > TEST_IDS_BYTES_MAX:
        largest = max(range(len(checks)), key=lambda index: _ids_bytes(checks[index]))
        check = checks[largest]
        checks[largest] = check.model_copy(
            update={"base": _without_ids(check.base), "candidate": _without_ids(check.candidate)}
        )
    return tuple(checks)


def _without_new(check: CheckComparison) -> CheckComparison:
    if check.base.passed is None or check.candidate.passed is None:
        return check
    known = {*check.base.passed, *(check.base.failed or ()), *(check.base.skipped or ())}
    kept = tuple(test for test in check.candidate.passed if test in known)
    dropped = len(check.candidate.passed) - len(kept)
    told = _noted(check.candidate, f"[{dropped} new passed tests are not listed: too many]")
    return check.model_copy(update={"candidate": told.model_copy(update={"passed": kept})})


def _without_ids(run: CheckRun) -> CheckRun:
    told = _noted(run, "[its tests are not listed: too many for one record]")
    return told.model_copy(update={"passed": None, "failed": None, "skipped": None})


def _noted(run: CheckRun, note: str) -> CheckRun:
    tail = run.tail[-(TAIL_CHARACTERS_MAX - len(note) - 1) :]
    return run.model_copy(update={"tail": f"{tail}\n{note}"})


def _ids_bytes(check: CheckComparison) -> int:
    return sum(
        len(test.encode("utf-8", "replace")) + 4
        for run in (check.base, check.candidate)
        for tests in (run.passed, run.failed, run.skipped)
        for test in tests or ()
    )
