"""What a confined command may see: its environment, a private temporary directory, its programs."""

import asyncio
import errno
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from worktrain.adapters.shells import Command
from worktrain.contracts.failure import AdapterError, FailureKind

SYSTEM = tuple(
    Path(path)
    for path in (
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/etc",
        "/opt",
        "/nix/store",
        "/run/current-system",
        "/var/lib/ca-certificates",
    )
)
"""The system's own programs and settings. Everything else has to be granted by name."""

_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)
_CREDENTIALS = re.compile(r"extraheader|password|token|://[^/\s]*@", re.IGNORECASE)
_PROGRAM_DIRECTORIES = frozenset({"bin", "sbin", "shims", "Scripts"})
_NEVER_BELOW_HOME = frozenset(
    {".aws", ".azure", ".cache", ".config", ".docker", ".gnupg", ".kube", ".mozilla", ".ssh"}
    | {".password-store", ".pki"}
)
_SHARED_BELOW_HOME = frozenset({".local", ".local/share", ".cargo"})
"""Directories that hold programs next to secrets: only a part of them may be granted."""


def environment(path: str, temporary: str, extra: Mapping[str, str]) -> dict[str, str]:
    """All that the command knows of the world; a name in `extra` that sounds secret is dropped."""
    return {
        "PATH": path,
        "HOME": f"{temporary}/home",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "TMPDIR": temporary,
        **{name: value for name, value in extra.items() if not _SECRET.search(name)},
    }


@asynccontextmanager
async def private_directory(scratch: Path) -> AsyncIterator[Path]:
    """A fresh directory below `scratch` with a `home` in it, removed at the end with whatever
    the command left there. Raises `AdapterError`: disk_full, misconfigured."""
    made = await asyncio.to_thread(_made, scratch)
    try:
        yield made
    finally:
        await asyncio.to_thread(discard, made)


def _made(scratch: Path) -> Path:
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="command-", dir=scratch))
        (made / "home").mkdir()
    except OSError as error:
        raise failure_of(error, f"making a temporary directory in {scratch}") from error
    return made


def failure_of(error: OSError, attempted: str) -> AdapterError:
    """The failure that an operating system error stands for."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said = f"{attempted}: the disk is full ({error}). Free some space, then resume."
        return AdapterError(FailureKind.DISK_FULL, said)
    said = f"{attempted}: {error}. Check that the path exists and belongs to this user."
    return AdapterError(FailureKind.MISCONFIGURED, said)


def discard(path: Path) -> None:
    """Remove a directory that a hostile command had to itself: unreadable or very deep parts
    included."""
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        if path.exists():
            for how in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
                subprocess.run([*how, "--", str(path)], check=False, capture_output=True)


def programs(path: str, home: Path) -> tuple[Path, ...]:
    """What has to be readable outside the system for the programs on `path` to work.

    A directory on `path` brings the installation that it belongs to (a virtual environment, a
    version of an interpreter), and so does every symbolic link in it. Never the whole home.
    """
    wanted = [
        place
        for name in path.split(os.pathsep)
        if os.path.isabs(name) and os.path.isdir(name) and not is_below(Path(name), SYSTEM)
        for place in _needs(Path(name))
    ]
    allowed = {place for place in wanted if not is_below(place, SYSTEM) and _grantable(place, home)}
    return tuple(sorted(one for one in allowed if not is_below(one.parent, tuple(allowed))))


def repositories(command: Command) -> tuple[Path, ...]:
    """What git has to read for the linked worktrees among the command's directories to work.

    Not the repository's `config` when it seems to hold credentials. A `.git` file is believed
    only when the place that it names, which the command cannot write, names it back.
    """
    places = dict.fromkeys((*command.writable, *command.readable, command.cwd))
    return tuple(part for place in places for part in _repository(place, command.writable))


def _repository(worktree: Path, writable: tuple[Path, ...]) -> Iterator[Path]:
    link = worktree / ".git"
    named = _first_line(link).removeprefix("gitdir: ")
    own = Path(os.path.realpath(worktree / named)) if named else worktree
    common = own.parent.parent
    linked = own.parent.name == "worktrees" and (common / "objects").is_dir()
    forged = is_below(own, tuple(map(Path.resolve, writable)))
    if not linked or forged or Path(_first_line(own / "gitdir")).resolve() != link.resolve():
        return
    secret = _CREDENTIALS.search(_text(common / "config"))
    for part in common.iterdir():
        if part.name == "worktrees":
            yield own
        elif part.name != "config" or not secret:
            yield part


def _first_line(file: Path) -> str:
    return _text(file).partition("\n")[0].strip()


def _text(file: Path) -> str:
    """The beginning of a small file; empty when it is none."""
    if file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as opened:
        return opened.read(1_000_000).decode("utf-8", "replace")


def is_below(path: Path, roots: tuple[Path, ...]) -> bool:
    """Whether `path` is one of `roots` or inside one; nothing is resolved."""
    return any(path == root or root in path.parents for root in roots)


def _needs(directory: Path) -> Iterator[Path]:
    """What may be wanted, the larger first; what must not be granted is left out later."""
    for place in (directory, directory.resolve()):
        yield from (_installation(place), place)
    try:
        entries = [Path(entry.path) for entry in os.scandir(directory) if entry.is_symlink()]
    except OSError:
        return
    for entry in entries:
        for hop in _hops(entry):
            # A link to a single file is a grant of that file, not of its neighbours.
            place = _installation(hop.parent)
            yield hop if place == hop.parent else place
            yield hop


def _hops(link: Path) -> Iterator[Path]:
    """Where a symbolic link leads, step by step: each step has to be there to be followed."""
    seen = 0
    while link.is_symlink() and seen < 20:
        seen += 1
        link = Path(os.path.normpath(link.parent / os.readlink(link)))
        yield link
    yield link.resolve()


def _installation(directory: Path) -> Path:
    prefix = directory.parent
    if directory.name not in _PROGRAM_DIRECTORIES:
        return directory
    installed = any((prefix / mark).exists() for mark in ("pyvenv.cfg", "lib", "libexec"))
    return prefix if installed else directory


def _grantable(place: Path, home: Path) -> bool:
    real = place.resolve()
    for one, base in ((place, home), (real, home.resolve())):
        if len(one.parts) < 3 or one == base or one in base.parents:
            return False
        if base in one.parents:
            below = one.relative_to(base)
            if below.parts[0] in _NEVER_BELOW_HOME or str(below) in _SHARED_BELOW_HOME:
                return False
    return real.exists()


def system(private: tuple[Path, ...]) -> tuple[Path, ...]:
    """The system's directories that exist, opened up so that nothing in `private` is among
    them."""
    return tuple(part for root in SYSTEM if root.exists() for part in _without(root, private))


def _without(root: Path, private: tuple[Path, ...]) -> Iterator[Path]:
    if root in private:
        return
    if not any(root in path.parents for path in private):
        yield root
        return
    for child in root.iterdir():
        yield from _without(child, private)


def private_settings(etc: Path = Path("/etc")) -> tuple[Path, ...]:
    """What in /etc only root may read: hidden from commands, because as root they could."""
    if os.geteuid() != 0:
        return ()
    found = []
    for folder, folders, files in os.walk(etc):
        for name in (*tuple(folders), *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and not mode & stat.S_IROTH:
                found.append(path)
                if name in folders:
                    folders.remove(name)
    return tuple(found)
