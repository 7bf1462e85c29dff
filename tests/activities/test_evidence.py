"""Evidence: the project's checks run on base and candidate, in clean checkouts, by a shell."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.activities.evidence import TAIL_CHARACTERS_MAX, TEST_IDS_BYTES_MAX, verify
from worktrain.adapters.shells import Command, CommandResult
from worktrain.adapters.shells.plain import PlainShell
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.proof import CheckEnding, CheckRun, Verification, VerifyRequest
from worktrain.contracts.workspace import CommitRef, SandboxRules, VerifyCommand

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.add("First commit", a_txt="one\n")
    return made


def command(run: str, name: str = "check", timeout_s: int = 60, report: str = "") -> VerifyCommand:
    return VerifyCommand(name=name, run=run, timeout_s=timeout_s, report=report or None)


async def request(
    project: Project, base: str, candidate: str, *commands: VerifyCommand
) -> VerifyRequest:
    tree = project.workspaces.tree
    return VerifyRequest(
        pipeline="task/p",
        repo=str(project.repo),
        base=await tree(str(project.repo), base),
        candidate=await tree(str(project.repo), candidate),
        commands=commands,
        sandbox=SandboxRules(kind="none"),
    )


async def run(
    project: Project,
    base: str,
    candidate: str,
    *commands: VerifyCommand,
    progress: Callable[[str], None] = silent,
) -> Verification:
    asked = await request(project, base, candidate, *commands)
    scratch = project.place / "scratch"
    shell = PlainShell(project.place / "shell", PATH)
    done = await verify(asked, project.workspaces, shell, scratch, progress)
    assert not list(scratch.rglob("*.txt")), "the checkouts are gone"
    assert not list((project.repo / ".git" / "worktrees").glob("*"))
    return done


async def one(project: Project, check: VerifyCommand) -> CheckRun:
    """What a check said of the only commit there is."""
    return (await run(project, "main", "main", check)).checks[0].candidate


async def test_pytest_needs_no_report_to_tell_which_tests_passed_failed_and_vanished(
    project: Project,
) -> None:
    before = (
        "import pytest\ndef test_one(): pass\ndef test_two(): assert 0\ndef test_three(): pass\n"
    )
    after = "import pytest\ndef test_one(): pass\ndef test_two(): pytest.skip('later')\n"
    write(project.repo / "tests" / "test_sample.py", before)
    base = project.add("Base with tests")
    write(project.repo / "tests" / "test_sample.py", after)
    candidate = project.add("Candidate")
    done = await run(project, base, candidate, command("pytest -q", "tests"))
    check = done.checks[0]
    names = {word: f"tests.test_sample::test_{word}" for word in ("one", "two", "three")}
    assert check.name == "tests"
    assert (check.base.ending, check.base.exit_code) == (CheckEnding.FAILED, 1)
    assert check.base.passed == (names["one"], names["three"])
    assert check.base.failed == (names["two"],)
    assert (check.candidate.ending, check.candidate.exit_code) == (CheckEnding.PASSED, 0)
    assert check.candidate.passed == (names["one"],)
    assert check.candidate.skipped == (names["two"],)
    assert check.base.at.commit == base == done.base.commit
    assert check.candidate.at == done.candidate
    assert check.candidate.seconds == round(check.candidate.seconds, 3) > 0


async def test_each_side_runs_on_exactly_its_own_commit(project: Project) -> None:
    base = project.head()
    candidate = project.add("Candidate", a_txt="uno\n")
    write(project.repo / "a.txt", "not committed\n")
    check = (await run(project, base, candidate, command("cat a.txt"))).checks[0]
    assert (check.base.tail, check.candidate.tail) == ("one\n", "uno\n")


async def test_both_sides_run_even_when_their_trees_are_the_same(project: Project) -> None:
    ran = project.place / "ran"
    await run(project, "main", "main", command(f"echo x >> {ran}"))
    assert ran.read_text() == "x\nx\n"


async def test_a_command_that_does_not_exist_is_missing_and_never_passed(project: Project) -> None:
    check = await one(project, command("no-such-program"))
    assert (check.ending, check.exit_code) == (CheckEnding.MISSING, 127)
    check = await one(project, command("./a.txt"))
    assert (check.ending, check.exit_code) == (CheckEnding.MISSING, 126)


async def test_a_command_that_hangs_is_killed_and_timed_out(project: Project) -> None:
    check = await one(project, command("echo begun; sleep 600", timeout_s=1))
    assert (check.ending, check.exit_code) == (CheckEnding.TIMED_OUT, None)
    assert "begun" in check.tail
    assert check.passed is None


async def test_a_check_without_a_report_names_no_tests(project: Project) -> None:
    check = await one(project, command("true"))
    assert (check.ending, check.passed, check.failed, check.skipped) == (
        CheckEnding.PASSED,
        None,
        None,
        None,
    )


async def test_a_configured_report_is_read_from_the_checkout(project: Project) -> None:
    xml = '<testsuite><testcase classname="c" name="n"/></testsuite>'
    line = f"mkdir -p out && echo '{xml}' > out/r.xml"
    assert (await one(project, command(line, report="out/r.xml"))).passed == ("c::n",)


async def test_a_report_that_was_committed_is_not_what_the_run_found_out(project: Project) -> None:
    write(project.repo / "r.xml", '<testsuite><testcase classname="c" name="n"/></testsuite>')
    project.add("A report")
    check = await one(project, command("true", report="r.xml"))
    assert check.passed is None
    assert project.git("show", "main:r.xml")


@pytest.mark.parametrize("report", ["../../../stolen.xml", "/etc/hostname", "link/stolen.xml"])
async def test_a_report_outside_the_checkout_is_not_read_or_removed(
    project: Project, report: str
) -> None:
    stolen = project.place / "stolen.xml"
    stolen.write_text('<testsuite><testcase classname="c" name="n"/></testsuite>')
    (project.repo / "link").symlink_to(project.place)
    project.add("A link")
    check = await one(project, command("true", report=report))
    assert check.passed is None
    assert "leads out of the checkout" in check.tail
    assert stolen.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ln -s {stolen} r.xml", "cannot be opened as a file"),
        ("mkfifo r.xml", "not a regular file"),
        ("mkdir r.xml", "not a regular file"),
        ("echo '<!DOCTYPE x><testsuite/>' > r.xml", "declares a document type"),
        ("echo '<testsuite>' > r.xml", "not XML"),
        ("truncate -s 40M r.xml", "more than 32,000,000 bytes"),
    ],
)
async def test_a_report_that_cannot_be_trusted_is_not_used_and_that_is_said(
    project: Project, line: str, why: str
) -> None:
    stolen = project.place / "stolen.xml"
    stolen.write_text('<testsuite><testcase classname="c" name="n"/></testsuite>')
    check = await one(project, command(line.format(stolen=stolen), report="r.xml"))
    assert (check.ending, check.passed) == (CheckEnding.PASSED, None)
    assert "test report not used" in check.tail
    assert why in check.tail


async def test_a_parent_folder_that_became_a_link_is_not_followed(project: Project) -> None:
    (project.place / "stolen").mkdir()
    xml = '<testsuite><testcase classname="c" name="n"/></testsuite>'
    (project.place / "stolen" / "r.xml").write_text(xml)
    line = f"ln -s {project.place}/stolen out"
    assert (await one(project, command(line, report="out/r.xml"))).passed is None


async def test_the_tail_is_the_end_of_the_output_and_bounded(project: Project) -> None:
    check = await one(project, command("seq 1 5000; printf 'last\\000\\033[31m line'"))
    assert check.tail.endswith("\nlast[31m line")
    assert len(check.tail) == TAIL_CHARACTERS_MAX - 1


async def test_checks_of_one_side_share_its_checkout_and_run_in_order(project: Project) -> None:
    done = await run(
        project, "main", "main", command("echo built > b", "build"), command("cat b", "use")
    )
    assert [check.candidate.tail for check in done.checks] == ["", "built\n"]
    assert [check.name for check in done.checks] == ["build", "use"]


async def test_progress_tells_side_and_check(project: Project) -> None:
    told: list[str] = []
    await run(project, "main", "main", command("true", "lint"), progress=told.append)
    assert told[:2] == ["base: checking out", "base: running lint"]
    assert "candidate: running lint" in told


class FailingShell:
    """A shell that cannot confine anything, or never comes back."""

    name = "failing"

    def __init__(self, hang: bool) -> None:
        self._hang = hang
        self.entered = asyncio.Event()

    async def run(
        self, command: Command, progress: Callable[[str], None] = silent
    ) -> CommandResult:
        self.entered.set()
        if self._hang:
            await asyncio.Event().wait()
        raise AdapterError(FailureKind.NO_SANDBOX, "No sandbox.")


async def test_the_checkout_is_gone_after_an_error_and_after_a_cancellation(
    project: Project,
) -> None:
    asked = await request(project, "main", "main", command("true"))
    scratch = project.place / "scratch"
    with pytest.raises(AdapterError, match="No sandbox"):
        await verify(asked, project.workspaces, FailingShell(False), scratch, silent)
    assert not list(scratch.rglob("*.txt"))
    shell = FailingShell(True)
    running = asyncio.create_task(verify(asked, project.workspaces, shell, scratch, silent))
    await shell.entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not list(scratch.rglob("*.txt"))


async def test_what_a_killed_attempt_left_is_replaced(project: Project) -> None:
    asked = await request(project, "main", "main", command("ls"))
    scratch = project.place / "scratch"
    shell = FailingShell(True)
    killed = asyncio.create_task(verify(asked, project.workspaces, shell, scratch, silent))
    await shell.entered.wait()
    (root,) = (path.parent for path in scratch.rglob("a.txt"))
    write(root / "left.txt", "left\n")
    again = await verify(
        asked, project.workspaces, PlainShell(project.place / "shell", PATH), scratch, silent
    )
    assert again.checks[0].base.tail == "a.txt\n"
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed


class ReportingShell:
    """Writes one report for the base and another for the candidate; remembers the commands."""

    name = "reporting"

    def __init__(self, *reports: list[str]) -> None:
        self._reports = list(reports)
        self.commands: list[Command] = []

    async def run(
        self, command: Command, progress: Callable[[str], None] = silent
    ) -> CommandResult:
        self.commands.append(command)
        place = command.env["PYTEST_ADDOPTS"].removeprefix("--junitxml=").partition(" -o ")[0]
        cases = "".join(f'<testcase classname="c" name="{n}"/>' for n in self._reports.pop(0))
        Path(place).write_text(f"<testsuite>{cases}</testsuite>")
        return CommandResult(exit_code=0, output="", output_bytes=0, seconds=1.23456)


def in_memory() -> tuple[InMemoryWorkspaces, CommitRef]:
    repository = InMemoryRepository({"a.txt": "one\n"})
    return InMemoryWorkspaces({"repo": repository}), repository.at(repository.refs["main"])


def asked_in_memory(at: CommitRef) -> VerifyRequest:
    return VerifyRequest(
        pipeline="p",
        repo="repo",
        base=at,
        candidate=at,
        commands=(command("pytest"),),
        sandbox=SandboxRules(network=True, read=("/opt/data",)),
    )


async def test_a_command_may_write_its_checkout_and_its_report_and_nothing_else(
    tmp_path: Path,
) -> None:
    workspaces, at = in_memory()
    shell = ReportingShell(["n"], ["n"])
    await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent)
    ran = shell.commands[0]
    assert ran.writable[0] == ran.cwd
    assert len(ran.writable) == 2
    assert str(ran.writable[1]) in ran.env["PYTEST_ADDOPTS"]
    assert (ran.network, ran.readable, ran.timeout_s) == (True, (Path("/opt/data"),), 60)
    assert set(ran.env) == {"PYTEST_ADDOPTS"}
    assert workspaces.checkouts == {}


async def test_too_many_new_tests_do_not_hide_that_an_old_one_is_gone(tmp_path: Path) -> None:
    workspaces, at = in_memory()
    flood = [f"{number}-{'x' * 200}" for number in range(8000)]
    shell = ReportingShell(["kept", "gone"], ["kept", *flood])
    done = await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent)
    check = done.checks[0]
    assert check.base.passed == ("c::gone", "c::kept")
    assert check.candidate.passed == ("c::kept",)
    assert "8000 new passed tests are not listed" in check.candidate.tail
    assert len(done.model_dump_json()) < TEST_IDS_BYTES_MAX


async def test_a_suite_too_large_for_one_record_loses_its_ids_on_both_sides(
    tmp_path: Path,
) -> None:
    workspaces, at = in_memory()
    flood = [f"{number}-{'x' * 200}" for number in range(8000)]
    shell = ReportingShell(flood, flood)
    done = await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent)
    check = done.checks[0]
    assert check.base.passed is check.candidate.passed is None
    assert "too many for one record" in check.base.tail
    assert check.candidate.ending is CheckEnding.PASSED
    assert check.candidate.seconds == 1.235
