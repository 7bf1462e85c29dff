"""Picks the sandbox for a session, and believes only what a probe inside it has shown."""

import asyncio
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from worktrain.adapters.shells import Command, Shell, reach
from worktrain.adapters.shells.bubblewrap import BubblewrapShell
from worktrain.adapters.shells.plain import PlainShell
from worktrain.adapters.shells.sandlock import SandlockShell, find_library
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CONFIG_PATH, SandboxRules

PROBE_S = 20.0
_PLANTED = ".worktrain-probe"
"""Of one name, so that a probe that died leaves no second file behind."""
_INSTALL = {
    "bubblewrap": "install the package `bubblewrap` (the program is called bwrap)",
    "sandlock": "run `pip install sandlock` into WorkTrain's environment (Linux 6.7 or newer)",
}
_ORDER = {"auto": ("bubblewrap", "sandlock")}


async def choose(rules: SandboxRules, scratch: Path) -> tuple[Shell, str]:
    """The first sandbox that `rules` allow and that proves itself, and what it proved.

    `scratch` is a directory of ours for the temporary files of commands. Raises `AdapterError`:
    missing_program (the sandbox asked for is not installed), no_sandbox (none proved itself).
    """
    path = os.pathsep.join(os.get_exec_path())
    if rules.kind == "none":
        said = f"none: commands are not confined, because {CONFIG_PATH} says so"
        return PlainShell(scratch, path), said
    failures: list[AdapterError] = []
    for name in _ORDER.get(rules.kind, (rules.kind,)):
        try:
            shell, version = await _installed(name, scratch, path)
            return shell, f"{name} {version}: {await _proven(shell, scratch, rules.network)}"
        except AdapterError as error:
            failures.append(error)
    kinds = {error.kind for error in failures}
    only = kinds == {FailureKind.MISSING_PROGRAM} and rules.kind != "auto"
    raise AdapterError(
        FailureKind.MISSING_PROGRAM if only else FailureKind.NO_SANDBOX,
        f"choosing a sandbox for the agent's commands: {'; '.join(e.said for e in failures)}. "
        f"Or write `sandbox: {{kind: none}}` into {CONFIG_PATH} to run them without one.",
    )


async def available() -> dict[str, str]:
    """What each sandbox proved on this machine, or why it cannot be used."""
    path = os.pathsep.join(os.get_exec_path())
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="worktrain-") as scratch:
        for name in _ORDER["auto"]:
            try:
                shell, version = await _installed(name, Path(scratch), path)
                proven = await _proven(shell, Path(scratch), network=False)
                answers[name] = f"proven {version}: {proven.removesuffix(' proven')}"
            except AdapterError as error:
                answers[name] = error.said
    return answers


async def _installed(name: str, scratch: Path, path: str) -> tuple[Shell, str]:
    home = Path.home()
    if name == "bubblewrap" and (program := shutil.which("bwrap")):
        asked = await asyncio.to_thread(
            subprocess.run, [program, "--version"], capture_output=True, text=True, check=False
        )
        return BubblewrapShell(program, scratch, path, home), asked.stdout.split()[-1]
    if name == "sandlock" and sys.platform == "linux" and (library := find_library()):
        return SandlockShell(library, scratch, path, home), metadata.version("sandlock")
    raise AdapterError(
        FailureKind.MISSING_PROGRAM, f"{name} is not installed here, {_INSTALL[name]}"
    )


async def _proven(shell: Shell, scratch: Path, network: bool) -> str:
    """What held when a command tried everything that it must not be able to do.

    The same attempts are made without a sandbox first: an attempt that fails there as well
    would prove nothing.
    """
    control = PlainShell(scratch, os.pathsep.join(os.get_exec_path()))
    free = await _attempts(control, scratch, network=True)
    expected = {"read", "write", "deny", "secret", "network"}
    if free != {"read", "write"}:
        raise _unproven(shell, f"unconfined, the probe itself showed {sorted(free)}")
    held = await _attempts(shell, scratch, network)
    wanted = expected - {"network"} if network else expected
    if not wanted <= held:
        raise _unproven(shell, f"these did not hold: {', '.join(sorted(wanted - held))}")
    names = [name for name in ("write", "deny", "secret", "network") if name in wanted]
    return ", ".join(names) + " proven" + (" (network allowed)" if network else "")


def _unproven(shell: Shell, why: str) -> AdapterError:
    said = f"{shell.name} did not prove itself: {why}"
    return AdapterError(FailureKind.NO_SANDBOX, said)


async def _attempts(shell: Shell, scratch: Path, network: bool) -> set[str]:
    """Which promises held: read, write (what is allowed works), deny, secret, network (what is
    forbidden does not)."""
    reached = False

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached = True
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server, reach.private_directory(scratch) as made:
        port = server.sockets[0].getsockname()[1]
        work, denied = made / "work", made / "denied"
        work.mkdir()
        denied.mkdir()
        seen, secret = secrets.token_hex(16), secrets.token_hex(16)
        (work / "seen").write_text(seen)
        (denied / "secret").write_text(secret)
        with _secret_at_home(secret) as at_home:
            places = [denied / "secret", *at_home]
            line = "; ".join(
                (
                    "cat seen",
                    "echo x > made",
                    f"echo x > {shlex.quote(str(denied / 'made'))}",
                    *(f"cat {shlex.quote(str(place))}" for place in places),
                    f"(exec 3<>/dev/tcp/127.0.0.1/{port}) && echo connected",
                )
            )
            result = await shell.run(
                Command(line=line, cwd=work, writable=(work,), timeout_s=PROBE_S, network=network)
            )
        # A connection that was made waits in our own loop until we yield to it.
        await asyncio.sleep(0)
        held = {
            "read": seen in result.output,
            "write": (work / "made").exists(),
            "deny": not (denied / "made").exists(),
            "secret": secret not in result.output,
            "network": not reached and "connected" not in result.output.split(),
        }
        return {name for name, holds in held.items() if holds}


@contextmanager
def _secret_at_home(secret: str) -> Iterator[list[Path]]:
    """A secret where a user's secrets are, if this user may write there."""
    place = Path.home() / _PLANTED
    try:
        place.unlink(missing_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret)
    except OSError:
        yield []
        return
    try:
        yield [place]
    finally:
        with suppress(OSError):
            place.unlink()
