"""Evidence: the project's own checks, run by WorkTrain on base and candidate."""

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worktrain.activities.sandbox import readable
from worktrain.adapters import reports
from worktrain.adapters.shells import Command, CommandResult, Shell
from worktrain.adapters.stores import Store
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
from worktrain.contracts.record import Seen
from worktrain.contracts.workspace import CommitRef, VerifyCommand
from worktrain.coordinators.compare import UNNAMED, compared

TAIL_CHARACTERS_MAX = 2_000
TEST_IDS_BYTES_MAX = 600_000
"""Of one verification. It travels within the proof, and a payload above 2 MiB would be refused by
the server for ever."""


async def verify(
    request: VerifyRequest,
    workspaces: Workspaces,
    shell: Shell,
    scratch: Path,
    progress: Callable[[str], None],
    store: Store,
) -> Verification:
    """Run every check on the base, then on the candidate, each side in a clean checkout below
    `scratch` that is gone afterwards. Collects facts and judges nothing.

    The store learns how every test ended. A check in which tests newly fail that it knows as
    flaky runs once more, and nothing else ever runs again. What was found out is kept there.

    Raises `AdapterError`: whatever the workspaces, the shell and the store raise.
    """
    place = scratch / f"verify-{digest(request.pipeline)[:16]}"
    base: list[CheckRun] = []
    candidate: list[CheckRun] = []
    for name, at, runs in (
        ("base", request.base, base),
        ("candidate", request.candidate, candidate),
    ):
        if runs is base and request.purpose == "watch":
            # The base is what it was when the merge was decided on.
            base += await _known(request, store)
        if len(runs) == len(request.commands):
            continue
        side = _Side(request, shell, store, place / name, at, _told(progress, name))
        try:
            side.progress("checking out")
            await workspaces.checkout(request.repo, at.commit, side.root)
            _make(side.reports)
            for command in request.commands:
                # The base has run by the time that the candidate does.
                before = base[len(runs)] if runs is candidate else None
                runs.append(await _check(side, command, before))
        finally:
            # Each of the two may fail; what remains is replaced by the next attempt.
            await asyncio.to_thread(_remove, side.reports)
            await workspaces.discard(request.repo, side.root)
    checks = [
        CheckComparison(name=command.name, base=before, candidate=after)
        for command, before, after in zip(request.commands, base, candidate, strict=True)
    ]
    found = Verification(base=request.base, candidate=request.candidate, checks=_bounded(checks))
    what = "watch" if request.purpose == "watch" else "verification"
    key = f"{what}/{found.base.commit}/{found.candidate.commit}"
    seen = Seen(key=key, kind="verification", body=found.model_dump_json())
    await store.see(request.pipeline, seen)
    return found


async def _known(request: VerifyRequest, store: Store) -> tuple[CheckRun, ...]:
    """How the checks ran on the base for this pipeline before; empty when they did not all."""
    wanted = [(command.name, command.run) for command in request.commands]
    for seen in reversed(await store.seen(request.pipeline)):
        if seen.kind != "verification":
            continue
        runs = tuple(one.base for one in Verification.model_validate_json(seen.body).checks)
        same = [(run.name, run.command) for run in runs] == wanted
        if same and all(run.at == request.base for run in runs):
            return runs
    return ()


@dataclass(frozen=True)
class _Side:
    """One of the two commits, and the place where its checks run."""

    request: VerifyRequest
    shell: Shell
    store: Store
    place: Path
    at: CommitRef
    progress: Callable[[str], None]

    @property
    def root(self) -> Path:
        return self.place / "checkout"

    @property
    def reports(self) -> Path:
        return self.place / "reports"


async def _check(side: _Side, command: VerifyCommand, before: CheckRun | None) -> CheckRun:
    """One check, and once more if flaky tests newly fail; `before` is how it ran on the base."""
    side.progress(f"running {command.name}")
    first = await _noted_run(side, command)
    if before is None:
        return first
    pair = CheckComparison(name=command.name, base=before, candidate=first)
    newly = compared(pair).newly_failing
    known = await side.store.flaky_tests(side.request.repo, command.name) if newly else ()
    suspects = [test for test in newly if test in set(known)]
    if not suspects:
        return first
    side.progress(f"running {command.name} once more: {len(suspects)} tests are known as flaky")
    return _merged(first, await _noted_run(side, command), suspects)


async def _noted_run(side: _Side, command: VerifyCommand) -> CheckRun:
    """Run a check, and have the store learn how its tests ended."""
    ran = await _run(side, command)
    if ran.passed is not None:
        passed, failed = (
            [test for test in tests or () if not test.startswith(UNNAMED)]
            for tests in (ran.passed, ran.failed)
        )
        await side.store.note_outcomes(
            side.request.repo, command.name, side.at.commit, passed, failed
        )
    return ran


def _merged(first: CheckRun, again: CheckRun, suspects: Sequence[str]) -> CheckRun:
    """The first run, with those suspects as passed that passed the second time.

    A failure that only the second run shows is a failure all the same.
    """
    recovered = {*suspects} & {*(again.passed or ())}
    note = f"[run once more for flaky tests: {len(recovered)} of {len(suspects)} passed then]"
    if not recovered:
        return _noted(first, note)
    failed = ({*(first.failed or ())} - recovered) | {*(again.failed or ())}
    clean = not failed
    merged = first.model_copy(
        update={
            "ending": again.ending if clean else first.ending,
            "exit_code": again.exit_code if clean else first.exit_code,
            "passed": tuple(sorted(({*(first.passed or ())} | recovered) - failed)),
            "failed": tuple(sorted(failed)),
            "skipped": tuple(sorted({*(first.skipped or ())} - failed)),
            "errors": tuple(sorted({*first.errors, *again.errors} & failed)),
            "flaky": tuple(sorted(recovered - failed)),
        }
    )
    return _noted(merged, note)


async def _run(side: _Side, command: VerifyCommand) -> CheckRun:
    root, folder, sandbox = side.root, side.reports, side.request.sandbox
    report, env = _report_place(command, root, folder)
    # One that is committed, or left by an earlier run, is not what this run found out.
    unusable = _clear(report, root, folder)
    asked = Command(
        line=command.run,
        cwd=root,
        writable=(root, folder),
        readable=readable(sandbox),
        timeout_s=command.timeout_s,
        env=env,
        network=sandbox.network,
    )
    result = await side.shell.run(asked, lambda words: side.progress(f"{command.name}: {words}"))
    # What lost its middle, or was never finished, would tell of fewer tests than there are.
    whole = result.output_bytes <= asked.output_bytes_max and not result.timed_out
    tests = None
    try:
        if unusable is None:
            # A parent that became a link during the run would lead out of the checkout.
            place = report if _inside(report, root, folder) else None
            tests = await asyncio.to_thread(reports.read, place, result.output if whole else "")
    except ValueError as error:
        unusable = str(error)
    tail = _tail(result, "" if unusable is None else f"[test report not used: {unusable}]")
    return CheckRun(
        name=command.name,
        command=command.run,
        at=side.at,
        ending=_ending(result),
        exit_code=result.exit_code,
        seconds=round(result.seconds, 3),
        passed=tests and _with_unnamed(tests.passed, "that passed", tests.passed_unnamed),
        failed=tests and _with_unnamed(tests.failed, "that failed", tests.failed_unnamed),
        skipped=tests and _with_unnamed(tests.skipped, "skipped", tests.skipped_unnamed),
        errors=tests.errors if tests else (),
        tail=tail,
    )


def _with_unnamed(named: tuple[str, ...], how: str, count: int) -> tuple[str, ...]:
    """Test ids, and one more for each test that was counted only: the number of all tests must
    not shrink either."""
    return (*named, *(f"{UNNAMED} {how} {number})" for number in range(1, count + 1)))


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
    return told.model_copy(
        update={"passed": None, "failed": None, "skipped": None, "errors": (), "flaky": ()}
    )


def _noted(run: CheckRun, note: str) -> CheckRun:
    tail = run.tail[-(TAIL_CHARACTERS_MAX - len(note) - 1) :]
    return run.model_copy(update={"tail": f"{tail}\n{note}"})


def _ids_bytes(check: CheckComparison) -> int:
    return sum(
        len(test.encode("utf-8", "replace")) + 4
        for run in (check.base, check.candidate)
        for tests in (run.passed, run.failed, run.skipped, run.errors, run.flaky)
        for test in tests or ()
    )
