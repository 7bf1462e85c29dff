"""Evidence: the project's checks run on base and candidate, in clean checkouts, by a shell."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.activities.evidence import TAIL_CHARACTERS_MAX, TEST_IDS_BYTES_MAX, verify
from worktrain.adapters.shells import Command, CommandResult
from worktrain.adapters.shells.plain import PlainShell
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.proof import CheckEnding, CheckRun, Verification, VerifyRequest
from worktrain.contracts.workspace import CommitRef, SandboxRules, VerifyCommand
from worktrain.coordinators.compare import UNNAMED, judge

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
    store: InMemoryStore | None = None,
) -> Verification:
    asked = await request(project, base, candidate, *commands)
    scratch = project.place / "scratch"
    shell = PlainShell(project.place / "shell", PATH)
    kept = store or InMemoryStore()
    done = await verify(asked, project.workspaces, shell, scratch, progress, kept)
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
    scratch, store = project.place / "scratch", InMemoryStore()
    with pytest.raises(AdapterError, match="No sandbox"):
        await verify(asked, project.workspaces, FailingShell(False), scratch, silent, store)
    assert not list(scratch.rglob("*.txt"))
    shell = FailingShell(True)
    running = asyncio.create_task(verify(asked, project.workspaces, shell, scratch, silent, store))
    await shell.entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not list(scratch.rglob("*.txt"))
    assert await store.seen("task/p") == ()


async def test_what_a_killed_attempt_left_is_replaced(project: Project) -> None:
    asked = await request(project, "main", "main", command("ls"))
    scratch, store = project.place / "scratch", InMemoryStore()
    shell = FailingShell(True)
    killed = asyncio.create_task(verify(asked, project.workspaces, shell, scratch, silent, store))
    await shell.entered.wait()
    (root,) = (path.parent for path in scratch.rglob("a.txt"))
    write(root / "left.txt", "left\n")
    whole = PlainShell(project.place / "shell", PATH)
    again = await verify(asked, project.workspaces, whole, scratch, silent, store)
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
    await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent, InMemoryStore())
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
    done = await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent, InMemoryStore())
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
    done = await verify(asked_in_memory(at), workspaces, shell, tmp_path, silent, InMemoryStore())
    check = done.checks[0]
    assert check.base.passed is check.candidate.passed is None
    assert "too many for one record" in check.base.tail
    assert check.candidate.ending is CheckEnding.PASSED
    assert check.candidate.seconds == 1.235


# --- runners without a report ---------------------------------------------------------------


async def test_without_a_report_the_output_of_a_common_runner_is_read(project: Project) -> None:
    line = "printf 'test a ... ok\\ntest result: ok. 3 passed; 0 failed; 1 ignored; x\\n'"
    check = await one(project, command(line))
    assert check.passed == ("a", f"{UNNAMED} that passed 1)", f"{UNNAMED} that passed 2)")
    assert check.skipped == (f"{UNNAMED} skipped 1)",)
    assert check.failed == ()


async def test_an_output_that_is_not_whole_tells_of_no_tests(project: Project) -> None:
    line = "echo '1 passed in 1s'; head -c 5000000 /dev/zero | tr '\\0' 'x\\n'"
    assert (await one(project, command(line))).passed is None
    assert (
        await one(project, command("echo '1 passed in 1s'; sleep 9", timeout_s=1))
    ).passed is None


async def test_a_report_that_cannot_be_used_is_not_replaced_by_the_output(
    project: Project,
) -> None:
    line = "echo '<testsuite>' > r.xml; echo '9 passed in 1s'"
    assert (await one(project, command(line, report="r.xml"))).passed is None


async def test_errors_are_told_apart_from_failures(project: Project) -> None:
    text = "def test_a(nothing): pass\ndef test_b(): assert 0\n"
    write(project.repo / "test_s.py", text)
    project.add("Broken tests")
    check = await one(project, command("pytest -q", "tests"))
    assert check.failed == ("test_s::test_a", "test_s::test_b")
    assert check.errors == ("test_s::test_a",)


# --- the ledger of flaky tests ---------------------------------------------------------------

REPORT = """
import sys
cases = {cases!r}
body = "".join(
    f'<testcase classname="c" name="{{name}}">{{inner}}</testcase>' for name, inner in cases
)
open("r.xml", "w").write(f"<testsuite>{{body}}</testsuite>")
sys.exit(any(inner for _, inner in cases))
"""


class Suite:
    """A check whose tests end as told, run by run; counts its runs."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.ran = project.place / "ran"

    def runs(self, *outcomes: str) -> VerifyCommand:
        """Each outcome names the tests of one run; `!` in front makes one fail."""
        for number, outcome in enumerate(outcomes, 1):
            names = outcome.split()
            cases = [(n.strip("!"), "<failure/>" if n.startswith("!") else "") for n in names]
            script = REPORT.format(cases=cases)
            write(self._project.place / f"run{number}.py", script)
        self.ran.write_text("")
        line = f"echo x >> {self.ran}; python {self._project.place}/run$(wc -l < {self.ran}).py"
        return command(line, "suite", report="r.xml")

    @property
    def count(self) -> int:
        return len(self.ran.read_text().splitlines())


async def known_as_flaky(project: Project, *tests: str) -> InMemoryStore:
    store = InMemoryStore()
    for passed, failed in ((tests, ()), ((), tests)):
        await store.note_outcomes(str(project.repo), "suite", "an earlier commit", passed, failed)
    assert await store.flaky_tests(str(project.repo), "suite") == tests
    return store


async def candidate_of(
    project: Project, store: InMemoryStore, suite: Suite, *outcomes: str
) -> CheckRun:
    other = project.add("Candidate", a_txt=f"{outcomes}\n")
    done = await run(project, f"{other}~", other, suite.runs(*outcomes), store=store)
    return done.checks[0].candidate


async def test_a_flaky_test_gets_one_more_run_and_is_named(project: Project) -> None:
    store, suite = await known_as_flaky(project, "c::a"), Suite(project)
    check = await candidate_of(project, store, suite, "a b", "!a b", "a b")
    assert (check.ending, check.exit_code) == (CheckEnding.PASSED, 0)
    assert (check.passed, check.failed, check.flaky) == (("c::a", "c::b"), (), ("c::a",))
    assert "run once more for flaky tests: 1 of 1 passed then" in check.tail
    assert suite.count == 3


async def test_a_flaky_test_that_fails_again_has_failed(project: Project) -> None:
    store, suite = await known_as_flaky(project, "c::a"), Suite(project)
    check = await candidate_of(project, store, suite, "a b", "!a b", "!a b", "a b")
    assert (check.ending, check.failed, check.flaky) == (CheckEnding.FAILED, ("c::a",), ())
    assert suite.count == 3


@pytest.mark.parametrize(
    ("flaky", "outcomes"),
    [
        ((), ("a b", "!a b")),
        (("c::b",), ("a b", "!a b")),
        (("c::a",), ("!a b", "!a b")),
        (("c::a",), ("!a b", "a b")),
        (("c::a",), ("a b", "a b")),
    ],
)
async def test_nothing_else_ever_runs_again(
    project: Project, flaky: tuple[str, ...], outcomes: tuple[str, str]
) -> None:
    store, suite = await known_as_flaky(project, *flaky), Suite(project)
    check = await candidate_of(project, store, suite, *outcomes, "a b")
    assert suite.count == 2
    assert check.flaky == ()


async def test_a_second_run_excuses_only_the_flaky_and_hides_no_new_failure(
    project: Project,
) -> None:
    store, suite = await known_as_flaky(project, "c::a"), Suite(project)
    check = await candidate_of(project, store, suite, "a b c", "!a !b c", "a b !c")
    assert check.ending is CheckEnding.FAILED
    assert (check.passed, check.failed, check.flaky) == (("c::a",), ("c::b", "c::c"), ("c::a",))


async def test_a_second_run_without_a_report_changes_nothing(project: Project) -> None:
    store, suite = await known_as_flaky(project, "c::a"), Suite(project)
    check = await candidate_of(project, store, suite, "a b", "!a b")
    assert suite.count == 3
    assert (check.ending, check.failed, check.flaky) == (CheckEnding.FAILED, ("c::a",), ())


async def test_every_run_of_a_side_is_noted_so_that_chance_is_found_out(project: Project) -> None:
    store, suite = InMemoryStore(), Suite(project)
    first, second = project.head(), project.add("Candidate", a_txt="2\n")
    await run(project, first, second, suite.runs("a b", "a b"), store=store)
    # The candidate is looked at again, as after the base moved; now its test fails by chance.
    done = await run(project, first, second, suite.runs("a b", "!a b", "a b"), store=store)
    assert await store.flaky_tests(str(project.repo), "suite") == ("c::a",)
    assert done.checks[0].candidate.flaky == ("c::a",)


async def test_a_run_without_a_report_notes_nothing(project: Project) -> None:
    class Noting(InMemoryStore):
        noted: tuple[str, ...] = ()

        async def note_outcomes(
            self, repo: str, check: str, commit: str, passed: Sequence[str], failed: Sequence[str]
        ) -> tuple[str, ...]:
            self.noted = (*self.noted, check)
            return await super().note_outcomes(repo, check, commit, passed, failed)

    store = Noting()
    await run(
        project,
        "main",
        "main",
        command("true", "silent"),
        command("echo '1 passed in 1s'", "told"),
        store=store,
    )
    assert store.noted == ("told", "told")


async def test_what_was_found_out_is_kept_for_the_proof(project: Project) -> None:
    store = InMemoryStore()
    done = await run(project, "main", "main", command("true"), store=store)
    (seen,) = await store.seen("task/p")
    assert (seen.kind, seen.key) == (
        "verification",
        f"verification/{done.base.commit}/{done.candidate.commit}",
    )
    assert Verification.model_validate_json(seen.body) == done


async def test_a_candidate_that_commits_a_report_of_its_own_wins_nothing(project: Project) -> None:
    write(project.repo / "test_s.py", "def test_a(): pass\ndef test_b(): pass\n")
    base = project.add("Tests")
    write(project.repo / "r.xml", '<testsuite><testcase classname="c" name="n"/></testsuite>')
    (project.repo / "test_s.py").unlink()
    candidate = project.add("A report instead of tests")
    check = command("pytest -q --junitxml=r.xml || true", "tests", report="r.xml")
    done = await run(project, base, candidate, check)
    assert done.checks[0].base.passed == ("test_s::test_a", "test_s::test_b")
    assert done.checks[0].candidate.passed == ()
    assert "gone or skipped" in judge(done).reasons[0]
