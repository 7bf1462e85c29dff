"""What a step wants to know before it begins: from files of the base, or a page of the task."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

from worktrain.activities.door import implements
from worktrain.activities.opening import trusted_config
from worktrain.adapters.pages import Pages
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.calls import GATHER
from worktrain.contracts.failure import AdapterError
from worktrain.contracts.plan import Source
from worktrain.contracts.session import Gathered, GatherRequest
from worktrain.contracts.task import Task
from worktrain.engine.conditions import Unusable, searched
from worktrain.engine.prompt.visible import cleaned

CHARACTERS_MAX = 16_000
"""Of one variable."""
FILES_MAX = 50
URLS_MAX = 50
FOLDERS_MAX = 100
SAID_CHARACTERS_MAX = 500

_URL = re.compile(r"https?://[^\s<>\"'`\\^{|}]{1,2000}", re.IGNORECASE)
_PATTERN = frozenset("*?[")


class GatheringActivities:
    def __init__(self, workspaces: Workspaces, pages: Pages) -> None:
        self._workspaces = workspaces
        self._pages = pages

    @implements(GATHER)
    async def gather(self, request: GatherRequest) -> Gathered:
        """What was found for each variable. Not finding one is said, and fails nothing."""
        values: dict[str, str] = {}
        said: list[str] = []
        for source in request.sources:
            value, told = await self._sought(request, source)
            if value.strip():
                values[source.variable] = value
            said.append(f"{source.variable}: {told}"[:SAID_CHARACTERS_MAX])
        return Gathered(values=values, said=tuple(said))

    async def _sought(self, request: GatherRequest, source: Source) -> tuple[str, str]:
        """The value, empty when there is none, and a sentence about where it was looked for."""
        missed = []
        for path in (path.removeprefix("./") for path in source.paths):
            found, left_out = await self._files(request, path)
            if found:
                return _joined(found, left_out, several=path not in found)
            missed.append(f"{path!r} is no text of at most 1 MB at {request.at[:12]}")
        if source.task_url is not None:
            value, told = await self._page(request, source.task_url)
            if value:
                return value, told
            missed.append(told)
        return "", f"not found: {'; '.join(missed) or 'no place is named for it'}."

    async def _files(self, request: GatherRequest, path: str) -> tuple[Mapping[str, str], int]:
        """Texts by path: of the file that is called so, else of those that the pattern matches;
        and how many of those were too many."""
        ask = (request.repo, request.at)
        found, left_out = await self._workspaces.texts(*ask, (path,)), 0
        if not found and _PATTERN & set(path):
            folder = _literal(path)
            listed = await self._workspaces.files(*ask, (folder,) if folder else ())
            wanted = [name for name in listed if matches(path, name)]
            left_out = max(0, len(wanted) - FILES_MAX)
            found = await self._workspaces.texts(*ask, wanted[:FILES_MAX])
        return {name: cleaned(text) for name, text in found.items() if "\0" not in text}, left_out

    async def _page(self, request: GatherRequest, pattern: str) -> tuple[str, str]:
        try:
            url = next((one for one in urls(request.task) if _is_meant(pattern, one)), None)
            if url is None:
                return "", f"no URL in the task matches {pattern!r}"
            _, config = await trusted_config(self._workspaces, request.repo)
            text = cleaned(await self._pages.fetch(url, config.gather_hosts))
        except Unusable as error:
            return "", f"the `taskUrl` {pattern!r} cannot be used: {error}"
        except AdapterError as error:
            return "", error.said.rstrip(".")
        if not text.strip():
            return "", f"{url} says nothing"
        return cut(text, url), f"fetched from {url}, {len(text):,} characters."


def urls(task: Task) -> tuple[str, ...]:
    """The URLs in a task, in order, without the punctuation that follows them."""
    found = _URL.findall(f"{task.title}\n{task.body}")
    return tuple(dict.fromkeys(map(_unpunctuated, found[:URLS_MAX])))


def matches(pattern: str, path: str) -> bool:
    """Whether a path is meant: `*`, `?` and `[...]` within one folder, `**` over any number."""
    parts, names = pattern.split("/"), path.split("/")
    if len(names) > FOLDERS_MAX:
        return False

    @cache
    def meant(part: int, name: int) -> bool:
        if part == len(parts):
            return name == len(names)
        if parts[part] == "**":
            return meant(part + 1, name) or (name < len(names) and meant(part, name + 1))
        return (
            name < len(names)
            and fnmatchcase(names[name], parts[part])
            and meant(part + 1, name + 1)
        )

    return meant(0, 0)


def cut(text: str, name: str) -> str:
    """A text as a variable may hold it; a longer one ends with a line, and says so."""
    if len(text) <= CHARACTERS_MAX:
        return text
    said = "\n[Cut here: this is the beginning of {name}, {kept:,} of {all:,} characters.]"
    room = CHARACTERS_MAX - len(said) - len(name) - 20
    kept, _, _ = text[:room].rpartition("\n")
    kept = kept or text[:room]
    return kept + said.format(name=name, kept=len(kept), all=len(text))


def _joined(found: Mapping[str, str], left_out: int, *, several: bool) -> tuple[str, str]:
    names = list(found)
    more = len(names) - 5 + left_out
    shown = ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
    text = "\n\n".join(f"## {name}\n\n{found[name].strip()}" for name in names)
    if not several:
        text = found[names[0]]
    told = f"read from {shown}, {len(text):,} characters"
    told += f"; the last {left_out} were left out" if left_out else ""
    return cut(text, shown), f"{told}."


def _is_meant(pattern: str, url: str) -> bool:
    return searched(rf"\A(?:{pattern})\z", url)


def _literal(pattern: str) -> str:
    """The folders in front of the first that is a pattern."""
    folders = pattern.split("/")[:-1]
    literal: list[str] = []
    for folder in folders:
        if _PATTERN & set(folder):
            break
        literal.append(folder)
    return "/".join(literal)


def _unpunctuated(url: str) -> str:
    url = url.rstrip(".,;:!?*_")
    # A bracket belongs to the sentence around it, unless it was opened in the URL.
    while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(["[")]".index(url[-1])]):
        url = url[:-1].rstrip(".,;:!?*_")
    return url
