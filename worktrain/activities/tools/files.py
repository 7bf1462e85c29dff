"""Read, Write and Edit: files of the worktree, never through a link that leads out of it."""

import difflib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from worktrain.activities.tools.bounds import page, shortened
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.tool import Edit, Read, Write

READ_CHARACTERS = 16_000
READ_BYTES = 20_000_000
WRITE_BYTES = 1_000_000
DIFF_CHARACTERS = 4_000
DIFF_LINES = 1_000
TEMPORARY = ".worktrain-write.tmp"
"""Of one name, so that a write that died leaves at most one behind in a directory."""


class Refused(Exception):
    """The tool did nothing; the text tells the model why and what it can do."""


def read(arguments: Read, root: Path, outputs: Path) -> ToolOutput:
    """Numbered lines of a text file below `root` or `outputs`."""
    path = inside(root, arguments.filePath, (outputs,))
    data, size = _content(path, arguments.filePath, READ_BYTES)
    if b"\0" in data[:8192]:
        raise Refused(f"{arguments.filePath} is a binary file of {size} bytes.")
    shown = page(
        data.decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}"),
        arguments.offset,
        arguments.limit,
        READ_CHARACTERS,
    )
    if not data:
        return ToolOutput(content="[complete: the file is empty]", ok=True)
    more = " or more" if size > len(data) else ""
    if shown.first > shown.total:
        raise Refused(
            f"{arguments.filePath} has {shown.total}{more} lines; offset {shown.first} is behind "
            "its end."
        )
    kind = "complete" if shown.whole and not more else "partial"
    said = f"[{kind}: lines {shown.first}-{shown.last} of {shown.total}{more}"
    said += "; the last line shown is cut]" if shown.cut else "]"
    return ToolOutput(content="\n".join((said, *shown.lines)), ok=True)


def write(arguments: Write, root: Path) -> ToolOutput:
    """Make or replace a file, its parent directories included."""
    path = _writable(root, arguments.filePath)
    existed = path.exists()
    size = _replace(path, arguments.filePath, arguments.content)
    done = "Replaced" if existed else "Made"
    lines = len(arguments.content.splitlines())
    return ToolOutput(content=f"{done} {arguments.filePath}: {lines} lines, {size} bytes.", ok=True)


def edit(arguments: Edit, root: Path) -> ToolOutput:
    """Replace a passage: as it stands, else with other white space where that is unambiguous."""
    name = arguments.file_path
    path = _writable(root, name)
    data, size = _content(path, name, WRITE_BYTES + 1)
    if size > WRITE_BYTES:
        raise Refused(f"{name} has {size} bytes; Edit takes up to {WRITE_BYTES}. Use Bash.")
    try:
        before = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not UTF-8 ({error.reason} at byte {error.start}).") from error
    if arguments.old_string == arguments.new_string:
        raise Refused("old_string and new_string are the same: nothing would change.")
    after = _exact(before, arguments)
    if after is None:
        after = _tolerant(before, arguments)
    if after is None:
        raise Refused(_nearest(before, arguments))
    _replace(path, name, after)
    return ToolOutput(content=_diff(before, after, name), ok=True)


def inside(root: Path, name: str, others: tuple[Path, ...] = ()) -> Path:
    """The real path that `name` stands for, all links followed. Raises `Refused` when that is
    neither below `root` nor below one of `others`."""
    if "\0" in name:
        raise Refused("A path cannot hold a NUL byte.")
    base = Path(os.path.realpath(root))
    path = Path(os.path.realpath(base / name))
    roots = (base, *(Path(os.path.realpath(other)) for other in others))
    if not any(path == one or one in path.parents for one in roots):
        raise Refused(
            f"{name} is outside the worktree. Give a path relative to the worktree's root that "
            "no symbolic link leads out of."
        )
    return path


def _writable(root: Path, name: str) -> Path:
    path = inside(root, name)
    base = Path(os.path.realpath(root))
    asked = Path(os.path.normpath(base / name))
    for one in (path, asked):
        parts = one.relative_to(base).parts if base in one.parents else one.parts
        if any(part.lower() == ".git" for part in parts):
            raise Refused(f"{name} belongs to git itself and is not yours to write.")
    if path == base or path.is_dir():
        raise Refused(f"{name} is a directory. Name a file.")
    return path


def _content(path: Path, name: str, bytes_max: int) -> tuple[bytes, int]:
    """The beginning of a regular file, and its size."""
    try:
        # Opening a pipe that nobody writes to would wait for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(_missing(path, name, error)) from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        folder = stat.S_ISDIR(status.st_mode)
        what = "a directory. Use Glob to list it" if folder else "not a regular file"
        raise Refused(f"{name} is {what}.")
    with os.fdopen(fd, "rb") as file:
        return file.read(bytes_max), status.st_size


def _missing(path: Path, name: str, error: OSError) -> str:
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return f"{name} cannot be opened: {error.strerror}."
    try:
        neighbours = sorted(entry.name for entry in os.scandir(path.parent))[:5000]
    except OSError:
        return f"{name} does not exist, and neither does the directory that it would be in."
    near = difflib.get_close_matches(path.name, neighbours, n=5, cutoff=0.4)
    hint = f" Near it: {', '.join(near)}." if near else " Nothing there has a similar name."
    return f"{name} does not exist.{hint}"


def _replace(path: Path, name: str, content: str) -> int:
    """Write atomically, keeping an existing file's mode; answers the size in bytes."""
    try:
        data = content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused(f"{name} was not written: the content is not valid Unicode.") from error
    if len(data) > WRITE_BYTES:
        raise Refused(f"{name} was not written: {len(data)} bytes are more than {WRITE_BYTES}.")
    if b"\0" in data:
        raise Refused(f"{name} was not written: the content holds a NUL byte.")
    temporary = path.with_name(TEMPORARY)
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        if mode is not None and not path.is_file():
            raise Refused(f"{name} is not a regular file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except OSError as error:
        _forget(temporary)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = f"writing {path}: the disk is full. Free some space, then resume."
            raise AdapterError(FailureKind.DISK_FULL, said) from error
        raise Refused(f"{name} was not written: {error.strerror}.") from error
    return len(data)


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return


def _exact(text: str, arguments: Edit) -> str | None:
    places = list(_places(text, arguments.old_string))
    if not places:
        return None
    if len(places) > 1 and not arguments.replace_all:
        raise Refused(_several([text.count("\n", 0, place) + 1 for place in places]))
    return text.replace(arguments.old_string, arguments.new_string)


def _places(text: str, part: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part))


def _several(lines: list[int]) -> str:
    numbers = ", ".join(map(str, lines[:20])) + (", …" if len(lines) > 20 else "")
    return (
        f"old_string is there {len(lines)} times, on lines {numbers}. Give more of the lines "
        "around the one that is meant, or replace_all."
    )


def _tolerant(text: str, arguments: Edit) -> str | None:
    """Whole lines that are the same but for white space, replaced with the file's indentation
    and line endings."""
    lines = text.splitlines(keepends=True)
    old = arguments.old_string.strip("\r\n").splitlines()
    wanted = [" ".join(line.split()) for line in old]
    if not any(wanted):
        return None
    bare = [" ".join(line.split()) for line in lines]
    at = [
        start
        for start in range(len(lines) - len(wanted) + 1)
        if bare[start] == wanted[0] and bare[start : start + len(wanted)] == wanted
    ]
    if not at:
        return None
    if len(at) > 1:
        raise Refused("White space differs, and " + _several([start + 1 for start in at]))
    found = lines[at[0] : at[0] + len(wanted)]
    ending = "\r\n" if found[0].endswith("\r\n") else "\n"
    indent, meant = _indent(found), _indent(old)
    new = [
        (indent + line.removeprefix(meant) if line.startswith(meant) and line.strip() else line)
        for line in arguments.new_string.strip("\r\n").splitlines()
    ]
    last = ending if found[-1].endswith("\n") else ""
    replaced = ending.join(new) + (last if new else "")
    return "".join((*lines[: at[0]], replaced, *lines[at[0] + len(wanted) :]))


def _indent(lines: list[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    return first[: len(first) - len(first.lstrip(" \t"))]


def _nearest(text: str, arguments: Edit) -> str:
    """What the model may have meant, with line numbers."""
    # Cut short, because comparing takes the square of the length.
    lines = [line[:200] for line in text.splitlines()[:20_000]]
    wanted = next((line for line in arguments.old_string.splitlines() if line.strip()), "")[:200]
    near = difflib.get_close_matches(wanted, lines, n=3, cutoff=0.5)
    said = f"old_string is not in {arguments.file_path}, not even with other white space."
    if not near:
        return f"{said} No line is like its first; Read the file again."
    shown: list[str] = []
    height = min(len(arguments.old_string.splitlines()), 10)
    for start in sorted(lines.index(line) for line in near):
        shown += [f"{n + 1:>6}\t{lines[n]}" for n in range(start, min(start + height, len(lines)))]
        shown.append("")
    return shortened("\n".join((f"{said} Nearest lines:", *shown[:-1])), DIFF_CHARACTERS)


def _diff(before: str, after: str, name: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    behind = 0
    while behind < min(len(old), len(new)) - same and old[-1 - behind] == new[-1 - behind]:
        behind += 1
    changed = max(len(old), len(new)) - same - behind
    if changed > DIFF_LINES:
        return f"Edited {name}: {changed} lines from line {same + 1} on."
    # Only the neighbourhood is compared, which keeps a large file cheap; the lines before it
    # stand in as equal, so that the numbers in the answer are the file's own.
    first = max(0, same - 3)
    hunks = difflib.unified_diff(
        old[first : len(old) - max(0, behind - 3)],
        new[first : len(new) - max(0, behind - 3)],
        lineterm="",
    )
    body = [_shifted(line, first) for line in list(hunks)[2:]]
    return shortened("\n".join((f"Edited {name}:", *body)), DIFF_CHARACTERS)


def _shifted(line: str, by: int) -> str:
    """A hunk header with line numbers of the whole file; any other line as it is."""
    if not line.startswith("@@"):
        return line
    places = [
        f"{place[0]}{int(place[1:].partition(',')[0]) + by}{''.join(place.partition(',')[1:])}"
        for place in line.split()[1:3]
    ]
    return f"@@ {places[0]} {places[1]} @@"
