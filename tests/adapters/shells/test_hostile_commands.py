"""What a hostile command cannot do in any real sandbox of this machine, and what it still can."""

import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from worktrain.adapters.shells import Command, CommandResult, Shell, process
from worktrain.adapters.shells.bubblewrap import BubblewrapShell
from worktrain.adapters.shells.sandlock import SandlockShell, find_library
from worktrain.contracts.failure import AdapterError, FailureKind

BWRAP = shutil.which("bwrap")
PATH = os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"))


@pytest.fixture(
    params=[
        pytest.param(
            "bubblewrap",
            marks=pytest.mark.skipif(BWRAP is None, reason="bwrap is not on PATH"),
        ),
        pytest.param(
            "sandlock",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="sandlock is for Linux"),
        ),
    ]
)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    scratch = tmp_path / "scratch"
    if request.param == "bubblewrap":
        return BubblewrapShell(str(BWRAP), scratch, PATH, Path.home())
    library = find_library()
    assert library is not None
    return SandlockShell(library, scratch, PATH, Path.home())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "worktree").mkdir()
    return tmp_path / "worktree"


@pytest.fixture
def marker() -> Iterator[str]:
    """A number that only our own processes carry in their command line."""
    number = f"4{secrets.randbelow(10**8):08}"
    yield number
    assert processes(number) == []


def processes(marker: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] == [b"sleep"] and marker.encode() in words:
            found.append(int(name))
    return found


async def running(marker: str, count: int) -> None:
    async with asyncio.timeout(10):
        while len(processes(marker)) < count:
            await asyncio.sleep(0.01)


async def run(shell: Shell, root: Path, line: str, timeout_s: float = 20) -> CommandResult:
    return await shell.run(Command(line=line, cwd=root, writable=(root,), timeout_s=timeout_s))


async def test_a_command_writes_in_its_worktree_and_its_own_temporary_directory(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    line = 'echo a > made && echo b > "$TMPDIR/b" && echo c > ~/c && mktemp >&2 && cat "$TMPDIR/b"'
    result = await run(shell, root, line)
    assert result.exit_code == 0, result.output
    assert (root / "made").read_text() == "a\n"
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_a_command_cannot_write_anywhere_else(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("before")
    targets = [tmp_path / "kept", tmp_path / "new", Path.home() / f"x-{secrets.token_hex(8)}"]
    targets += [Path("/usr/worktrain-x"), Path("/etc/worktrain-x"), Path("/worktrain-x")]
    line = "; ".join(f"echo x > {target}" for target in targets[:2])
    await run(shell, root, f"{line}; rm -rf {tmp_path}/kept ../kept; mv made ../moved; true")
    line = "; ".join(f"echo x > {target} && echo wrote" for target in targets[2:])
    assert "wrote" not in (await run(shell, root, line)).output
    assert (tmp_path / "kept").read_text() == "before"
    assert [target for target in targets[1:] if target.exists()] == []


async def test_a_command_cannot_read_what_it_was_not_granted(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("planted-secret")
    (root / "way-out").symlink_to(tmp_path / "secret")
    line = (
        f"cat {tmp_path}/secret; cat ../secret; cat way-out; cat /proc/self/root{tmp_path}/secret;"
        f"ln {tmp_path}/secret hard; cat hard; cp -r {tmp_path} copy; cat copy/secret;"
        f"cat /proc/{os.getpid()}/environ; cat /etc/shadow; echo done"
    )
    result = await run(shell, root, line)
    assert "done" in result.output
    assert "planted-secret" not in result.output
    assert "root:" not in result.output
    assert "PYTEST_CURRENT_TEST" not in result.output
    assert not (root / "copy" / "secret").exists()


async def test_what_was_granted_can_be_read_but_not_written(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "file").write_text("readable")
    line = f"cat {granted}/file; echo x >> {granted}/file"
    command = Command(line=line, cwd=root, writable=(root,), readable=(granted,), timeout_s=20)
    assert "readable" in (await shell.run(command)).output
    assert (granted / "file").read_text() == "readable"


@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_a_command_cannot_reach_a_socket_of_the_host(
    shell: Shell, root: Path, tmp_path: Path, family: str
) -> None:
    with socket.socket(socket.AF_INET if family == "tcp" else socket.AF_UNIX) as server:
        address = ("127.0.0.1", 0) if family == "tcp" else os.path.relpath(tmp_path / "s")
        server.bind(address)
        server.listen()
        server.setblocking(False)
        where = repr(server.getsockname() if family == "tcp" else str(tmp_path / "s"))
        kind = "AF_INET" if family == "tcp" else "AF_UNIX"
        (root / "try.py").write_text(
            f"import socket\nsocket.socket(socket.{kind}).connect({where})\nprint('connected')\n"
        )
        tried = subprocess.run([sys.executable, root / "try.py"], capture_output=True, text=True)
        assert tried.stdout == "connected\n"
        server.accept()[0].close()
        result = await run(shell, root, "python try.py")
        assert "Error" in result.output
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_command_sees_only_the_scrubbed_environment(
    shell: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from-the-host")
    env = {"GREETING": "hello", "My_Token": "dropped", "AWS_SECRET_X": "dropped"}
    command = Command(line="env", cwd=root, writable=(root,), timeout_s=20, env=env)
    output = (await shell.run(command)).output
    names = {line.partition("=")[0] for line in output.splitlines()}
    # The shell itself sets these three.
    names -= {"PWD", "SHLVL", "_", "OLDPWD"}
    assert names == {"PATH", "HOME", "LANG", "TERM", "TMPDIR", "GREETING"}
    assert "hello" in output
    assert str(Path.home()) + "\n" not in output.replace("HOME=", "")


async def test_a_command_holds_no_capability(shell: Shell, root: Path) -> None:
    result = await run(shell, root, "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status")
    assert {line.split()[1] for line in result.output.splitlines()} == {"0" * 16}


async def test_a_daemon_does_not_survive_the_command_that_started_it(
    shell: Shell, root: Path, marker: str
) -> None:
    daemon = f"(setsid sleep {marker} >/dev/null 2>&1 &); sleep {marker} & sleep {marker} &"
    result = await run(shell, root, f"{daemon} echo started; exit 3")
    assert (result.exit_code, result.output) == (3, "started\n")
    assert processes(marker) == []


async def test_a_child_that_keeps_the_output_open_does_not_hold_the_command_up(
    shell: Shell, root: Path, marker: str
) -> None:
    began = time.monotonic()
    result = await run(shell, root, f"setsid sleep {marker} & echo ended")
    assert result.output == "ended\n"
    assert time.monotonic() - began < 5


async def test_fifty_megabytes_of_output_are_counted_and_bounded(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "outputs" / "kept.txt"
    line = "echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo last"
    command = Command(
        line=line, cwd=root, writable=(root,), timeout_s=60, output=kept, output_bytes_max=100_000
    )
    result = await shell.run(command)
    assert result.output_bytes == 50_000_011
    assert len(result.output) == 100_000
    assert result.output.startswith("first\nxxx")
    assert result.output.endswith("xxxlast\n")
    assert kept.stat().st_size == 100_000


async def test_a_command_at_its_time_limit_is_killed_with_all_it_started(
    shell: Shell, root: Path, marker: str
) -> None:
    line = f"setsid sleep {marker} & sleep {marker} & echo begun; sleep {marker}"
    result = await run(shell, root, line, timeout_s=1)
    assert result.timed_out
    assert "begun" in result.output
    assert processes(marker) == []


async def test_a_command_that_ignores_being_asked_to_end_is_killed(
    shell: Shell, root: Path, marker: str
) -> None:
    line = f"trap '' TERM; (setsid sleep {marker} &); sleep {marker}; sleep {marker}"
    result = await run(shell, root, line, timeout_s=0.5)
    assert result.timed_out
    assert result.seconds < 6
    assert processes(marker) == []


async def test_a_command_that_is_to_end_is_asked_first_and_may_tidy_up(
    shell: Shell, root: Path, marker: str
) -> None:
    line = f"trap 'echo tidied > tidied; exit' TERM; sleep {marker} & wait"
    task = asyncio.create_task(run(shell, root, line))
    await running(marker, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (root / "tidied").read_text() == "tidied\n"


async def test_cancellation_kills_grandchildren(
    shell: Shell, root: Path, tmp_path: Path, marker: str
) -> None:
    line = f"bash -c 'setsid sleep {marker} & sleep {marker} >/dev/null & wait' & wait"
    task = asyncio.create_task(run(shell, root, line))
    await running(marker, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes(marker) == []
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_the_end_of_the_worker_ends_its_commands(
    shell: Shell, root: Path, tmp_path: Path, marker: str
) -> None:
    program = tmp_path / "worker.py"
    library = find_library()
    made = (
        f"BubblewrapShell({str(BWRAP)!r}, scratch, {PATH!r}, Path.home())"
        if shell.name == "bubblewrap"
        else f"SandlockShell(Path({str(library)!r}), scratch, {PATH!r}, Path.home())"
    )
    program.write_text(
        "import asyncio\nfrom pathlib import Path\n"
        "from worktrain.adapters.shells import Command\n"
        f"from worktrain.adapters.shells.{shell.name} import *\n"
        f"root, scratch = Path({str(root)!r}), Path({str(tmp_path / 'other')!r})\n"
        f"line = 'setsid sleep {marker} & sleep {marker}'\n"
        f"asyncio.run({made}.run(Command(line, root, (root,), 60)))\n"
    )
    worker = subprocess.Popen([sys.executable, program])
    await running(marker, 2)
    worker.kill()
    worker.wait()
    async with asyncio.timeout(10):
        while processes(marker):
            await asyncio.sleep(0.01)


async def test_the_leftovers_of_a_command_are_removed_however_hard_it_made_that(
    shell: Shell, root: Path, tmp_path: Path
) -> None:
    (root / "deep.py").write_text(
        "import os\nfor _ in range(1100):\n os.mkdir('d')\n os.chdir('d')\n"
    )
    line = 'cd "$TMPDIR" && mkdir -p a/b && touch a/b/c && chmod 0 a; python "$OLDPWD/deep.py"'
    assert (await run(shell, root, line)).exit_code == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def linked_worktree(tmp_path: Path) -> tuple[Path, Path]:
    repo, tree = tmp_path / "repo", tmp_path / "tree"
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", repo], check=True)
    (repo / "a.txt").write_text("one\n")
    subprocess.run([*git, "-C", repo, "add", "."], check=True)
    subprocess.run([*git, "-C", repo, "commit", "-qm", "first"], check=True)
    subprocess.run([*git, "-C", repo, "worktree", "add", "-q", tree], check=True)
    return repo, tree


async def test_git_can_be_read_in_a_linked_worktree(shell: Shell, tmp_path: Path) -> None:
    _, tree = linked_worktree(tmp_path)
    (tree / "a.txt").write_text("two\n")
    result = await run(shell, tree, "git log --oneline && git diff && git status --short")
    assert result.exit_code == 0, result.output
    assert "first" in result.output
    assert "+two" in result.output
    assert " M a.txt" in result.output


async def test_a_repository_that_holds_credentials_does_not_show_them(
    shell: Shell, tmp_path: Path
) -> None:
    repo, tree = linked_worktree(tmp_path)
    url = "https://user:hunter2@example.org/x.git"
    subprocess.run(["git", "-C", repo, "remote", "add", "origin", url], check=True)
    result = await run(shell, tree, f"git remote -v; cat {repo}/.git/config; echo done")
    assert "done" in result.output
    assert "hunter2" not in result.output


async def test_a_command_cannot_plant_a_git_hook(shell: Shell, tmp_path: Path) -> None:
    repo, tree = linked_worktree(tmp_path)
    before = (tree / ".git").read_text()
    line = (
        f"echo evil > {repo}/.git/hooks/pre-commit; git config core.fsmonitor evil;"
        f"echo x > {repo}/.git/worktrees/tree/commondir;"
        "rm -f .git; mv .git gone; mkdir .git; git init -q evil; mv evil/.git .git;"
        "echo 'gitdir: /tmp/evil' > .git; true"
    )
    await run(shell, tree, line)
    assert (tree / ".git").read_text() == before
    assert not (repo / ".git/hooks/pre-commit").exists()
    assert "evil" not in (repo / ".git/config").read_text()
    assert (repo / ".git/worktrees/tree/commondir").read_text() == "../..\n"


async def test_a_command_cannot_plant_a_git_hook_in_a_checkout_of_its_own(
    shell: Shell, tmp_path: Path
) -> None:
    repo, _ = linked_worktree(tmp_path)
    config = (repo / ".git/config").read_bytes()
    line = "mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit; echo '[a]' >> .git/config; true"
    result = await run(shell, repo, line)
    assert not (repo / ".git/hooks/pre-commit").exists()
    assert (repo / ".git/config").read_bytes() == config
    assert shell.name == "bubblewrap" or "put back" in result.output


async def test_a_forged_git_file_opens_nothing(shell: Shell, tmp_path: Path, root: Path) -> None:
    target = tmp_path / "private"
    (target / "objects").mkdir(parents=True)
    (target / "objects" / "secret").write_text("planted-secret")
    inner = root / "fake" / "worktrees" / "w"
    inner.mkdir(parents=True)
    (root / "fake" / "objects").symlink_to(target / "objects")
    (inner / "gitdir").write_text(f"{root}/.git\n")
    (inner / "commondir").write_text(str(target))
    for named in (inner, target / "worktrees" / "w"):
        (root / ".git").write_text(f"gitdir: {named}\n")
        result = await run(shell, root, f"cat {target}/objects/secret; echo done")
        assert "done" in result.output
        assert "planted-secret" not in result.output


async def test_python_and_pytest_work_inside(shell: Shell, root: Path) -> None:
    (root / "test_it.py").write_text("def test_one(tmp_path):\n    (tmp_path / 'a').touch()\n")
    result = await run(shell, root, "python -m pytest -q -p no:cacheprovider test_it.py")
    assert result.exit_code == 0, result.output
    assert "1 passed" in result.output


async def test_exit_codes_and_signals_are_told_as_a_shell_tells_them(
    shell: Shell, root: Path
) -> None:
    assert (await run(shell, root, "exit 7")).exit_code == 7
    assert (await run(shell, root, "kill -9 $$")).exit_code == 137
    assert (await run(shell, root, "yes | head -1")).output == "y\n"
    ignored = (await run(shell, root, "grep SigIgn /proc/self/status")).output
    # Python ignores SIGPIPE; a command that inherited it would not end with its reader.
    assert not int(ignored.split()[1], 16) & 1 << signal.SIGPIPE - 1


async def test_many_commands_run_at_the_same_time(shell: Shell, root: Path) -> None:
    results = await asyncio.gather(*(run(shell, root, f"echo {n}") for n in range(12)))
    assert [result.output for result in results] == [f"{n}\n" for n in range(12)]


async def test_what_cannot_be_confined_is_not_run(shell: Shell, root: Path, tmp_path: Path) -> None:
    if isinstance(shell, SandlockShell):
        (tmp_path / "library.so").write_text("no library")
        shell = SandlockShell(tmp_path / "library.so", tmp_path / "scratch", PATH, Path.home())
        cwd = root
    else:
        cwd = root / "missing"
    command = Command(line="echo x > ran", cwd=cwd, writable=(root,), timeout_s=20)
    with pytest.raises(AdapterError) as raised:
        await shell.run(command)
    assert raised.value.kind is FailureKind.NO_SANDBOX
    assert "was not run" in raised.value.said
    assert not (root / "ran").exists()


async def test_a_command_that_pretends_not_to_be_confined_is_believed_nothing(
    shell: Shell, root: Path
) -> None:
    line = "for fd in 3 4 5 6 7 8 9 10 11 12; do echo '{\"child-pid\": 1}' >&$fd; done; exit 125"
    assert (await run(shell, root, line)).exit_code == 125


async def test_progress_is_told_while_a_command_runs(
    shell: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PROGRESS_EVERY_S", 0.05)
    told: list[str] = []
    command = Command(line="echo abc; sleep 0.4", cwd=root, writable=(root,), timeout_s=20)
    await shell.run(command, told.append)
    assert re.fullmatch(r"running for \d+ s, 4 bytes of output", told[-1])
