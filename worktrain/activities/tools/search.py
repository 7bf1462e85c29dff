"""Glob and Grep: what is in the worktree, found by programs that run in the sandbox."""

import asyncio
import fnmatch
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worktrain.activities.tools.bounds import listed
from worktrain.activities.tools.files import Refused, inside
from worktrain.adapters.shells import Command, CommandResult, Shell
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.tool import Glob, Grep

GLOB_PATHS = 100
CHARACTERS = 16_000
LINE_CHARACTERS = 500
SEARCH_S = 30
WALK_ENTRIES = 200_000
PATTERN_CHARACTERS = 500
ALTERNATIVES = 64
LISTING_BYTES = 32_000_000
_GIT = "git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.quotePath=false"
_INSIDE = f"{_GIT} rev-parse --is-inside-work-tree >/dev/null 2>&1"


@dataclass(frozen=True)
class Searching:
    """Where a search runs and how: read-only, without the network, at most `timeout_s`."""

    shell: Shell
    root: Path
    readable: tuple[Path, ...]
    timeout_s: int
    progress: Callable[[str], None]

    async def run(self, line: str, bytes_max: int) -> CommandResult:
        command = Command(
            line=line,
            cwd=self.root,
            writable=(),
            readable=(self.root, *self.readable),
            timeout_s=min(SEARCH_S, self.timeout_s),
            env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"},
            output_bytes_max=bytes_max,
        )
        return await self.shell.run(command, self.progress)

    def below(self, name: str | None) -> str:
        """A path argument, relative to the root. Raises `Refused` when it leads outside."""
        path = inside(self.root, name or ".")
        if not path.exists():
            raise Refused(f"path {name} does not exist.")
        return os.path.relpath(path, os.path.realpath(self.root))


async def glob(arguments: Glob, searching: Searching) -> ToolOutput:
    """Files whose path matches, newest first; ignored ones are left out where git knows them."""
    if len(arguments.pattern) > PATTERN_CHARACTERS:
        raise Refused(f"pattern is longer than {PATTERN_CHARACTERS} characters.")
    patterns = [pattern.split("/") for pattern in _expanded(arguments.pattern)]
    if any(".." in pattern or pattern[0] == "" for pattern in patterns):
        raise Refused("pattern is relative to path, and cannot hold .. or begin with /.")
    below = searching.below(arguments.path)
    top = inside(searching.root, below)
    ls = f"{_GIT} ls-files -z -co --exclude-standard -- ."
    line = f"cd -- {shlex.quote(below)} && {_INSIDE} && {ls}"
    listing = await searching.run(line, LISTING_BYTES)
    if listing.exit_code == 0:
        names = [name for name in listing.output.split("\0") if name]
    else:
        names = await asyncio.to_thread(lambda: list(_walked(top)))
    found = {name for name in names if any(_matches(name.split("/"), one) for one in patterns)}
    paths = await asyncio.to_thread(_newest, top, below, found)
    if not paths:
        return ToolOutput(content=f"No file matches {arguments.pattern}.", ok=True)
    shown, more = listed(paths, GLOB_PATHS, CHARACTERS)
    partial = listing.output_bytes > LISTING_BYTES or len(names) >= WALK_ENTRIES
    said = [f"[partial: {more} more; narrow the pattern or the path]"] if more else []
    said += ["[partial: there are too many files here to list all of them]"] if partial else []
    return ToolOutput(content="\n".join((*shown, *said)), ok=True)


async def grep(arguments: Grep, searching: Searching) -> ToolOutput:
    """Lines, files or counts that match a regular expression."""
    if "\0" in arguments.pattern + (arguments.glob or ""):
        raise Refused("A pattern cannot hold a NUL byte.")
    below = searching.below(arguments.path)
    found = await searching.run(_grep_line(arguments, below), CHARACTERS * 64)
    if found.timed_out:
        said = f"The search was stopped after {found.seconds:.0f} s: simplify the pattern."
        return ToolOutput(content=said, ok=False)
    lines = [_clipped(line.removeprefix("./")) for line in found.output.splitlines()]
    if found.exit_code == 1 and not lines:
        return ToolOutput(content=f"No match for {arguments.pattern}.", ok=True)
    if found.exit_code not in (0, 1):
        why = "; ".join(line.strip() for line in lines[:5]) or f"exit code {found.exit_code}"
        return ToolOutput(content=f"The search failed: {why}", ok=False)
    shown, more = listed(lines, arguments.head_limit, CHARACTERS)
    dropped = found.output_bytes > CHARACTERS * 64
    said = f"[partial: {more}{' or more' if dropped else ''} more lines; narrow the search]"
    return ToolOutput(content="\n".join((*shown, said) if more or dropped else shown), ok=True)


def _grep_line(arguments: Grep, below: str) -> str:
    """ripgrep where the sandbox has it, else git grep; both know what is ignored."""
    where = shlex.quote(below if below == "." else f"./{below}")
    pattern = f"-e {shlex.quote(arguments.pattern)}"
    mode = {"content": "-n", "files_with_matches": "-l", "count": "-c"}[arguments.output_mode]
    context = arguments.context if arguments.output_mode == "content" else 0
    options = f"{mode}{' -i' if arguments.ignore_case else ''} {f'-C {context}' if context else ''}"
    rg = "rg --no-config --color=never --no-heading --with-filename --hidden --sort=path"
    rg += f" --max-columns={LINE_CHARACTERS} --max-columns-preview"
    spec = where
    if arguments.glob:
        rg += f" --glob={shlex.quote(arguments.glob)}"
        anywhere = "" if "/" in arguments.glob else "**/"
        spec = shlex.quote(f":(glob){_joined(below, anywhere + arguments.glob)}")
    # Last, because of globs that disagree ripgrep takes the last.
    rg += " --glob='!.git'"
    # Perl's expressions where this git has them: they are nearest to what ripgrep takes.
    git = f"{_GIT} grep -I --no-color"
    tried = f"(cd && {_GIT} grep --no-index -qP x); [ $? -lt 2 ] && kind=-P || kind=-E"
    source = f"{_INSIDE} && where=--untracked || where='--no-index --exclude-standard'"
    return (
        "if command -v rg >/dev/null; then "
        f"exec {rg} {options} {pattern} -- {where}; fi; {tried}; {source}; "
        f"exec {git} $where $kind {options} {pattern} -- {spec}"
    )


def _joined(below: str, pattern: str) -> str:
    return pattern if below == "." else f"{below}/{pattern}"


def _clipped(line: str) -> str:
    line = line.replace("\0", "\N{SYMBOL FOR NULL}")
    return line if len(line) <= 2 * LINE_CHARACTERS else f"{line[: 2 * LINE_CHARACTERS]} […]"


def _walked(top: Path) -> Iterator[str]:
    """Paths of files below a directory that git does not know, links not followed."""
    seen = 0
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in files:
            seen += 1
            if seen > WALK_ENTRIES:
                return
            yield os.path.relpath(os.path.join(folder, name), top)


def _newest(top: Path, below: str, names: set[str]) -> list[str]:
    """The paths that are still there, relative to the root, last changed first."""
    ages = sorted(((_age(top / name), name) for name in names), reverse=True)
    return [os.path.normpath(os.path.join(below, name)) for age, name in ages if age >= 0]


def _age(path: Path) -> float:
    """When the file was changed; -1 when it is gone."""
    try:
        return path.lstat().st_mtime
    except (OSError, ValueError):
        return -1


def _expanded(pattern: str) -> list[str]:
    """`{a,b}` written out; a pattern without a slash matches at any depth."""
    patterns = [pattern]
    while any(re.search(r"\{[^{}]*\}", one) for one in patterns):
        patterns = [written for one in patterns for written in _written_out(one)]
        if len(patterns) > ALTERNATIVES:
            raise Refused(f"pattern stands for more than {ALTERNATIVES} alternatives.")
    return [one if "/" in one else f"**/{one}" for one in patterns]


def _written_out(pattern: str) -> list[str]:
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        return [pattern]
    before, behind = pattern[: braces.start()], pattern[braces.end() :]
    return [f"{before}{choice}{behind}" for choice in braces[1].split(",")]


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether path and pattern agree part by part; `**` stands for any number of parts."""
    reached = {0}
    for part in ["", *parts]:
        if part:
            reached = {
                at if pattern[at] == "**" else at + 1
                for at in reached
                if at < len(pattern)
                and (pattern[at] == "**" or fnmatch.fnmatchcase(part, pattern[at]))
            }
        for at in sorted(reached):
            while at < len(pattern) and pattern[at] == "**":
                at += 1
                reached.add(at)
    return len(pattern) in reached
