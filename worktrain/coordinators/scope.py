"""What a change touches: what was declared, what a person must see, what it puts off."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from worktrain.contracts.examination import Examination, Mark

Item = TypeVar("Item")
Pattern = TypeVar("Pattern")

NAMED_MAX = 5
"""Paths named in a sentence; the examination has them all."""


def human_reasons(examination: Examination) -> tuple[str, ...]:
    """Why a person must agree to this change whatever else is true of it; empty when nothing
    in its paths or lines asks for one."""
    reasons = []
    for what, sign, prose_too in _SENSITIVE:
        found = [
            path
            for path in _touched(examination)
            if sign.search(path) and (prose_too or not _PROSE.search(path))
        ]
        if found:
            reasons.append(f"it changes {what}: {_listed(found)}")
    return (*reasons, *examination.sensitive)


def outside(
    examination: Examination, declared: Sequence[str], accepted: Sequence[str]
) -> tuple[str, ...]:
    """Touched paths that nobody declared or accepted, sorted. A test of a declared file counts
    as declared. Where nothing was declared, nothing is outside."""
    if not declared:
        return ()
    stems = [words for words in map(_stem, declared) if set(words) - _TESTS]
    return tuple(
        path
        for path in _touched(examination)
        if not matches(path, (*declared, *accepted)) and not _tests_one_of(path, stems)
    )


def put_off(examination: Examination) -> tuple[str, ...]:
    """What the change's own lines leave for later, in words; a line that names a filed issue
    (#123, ABC-123, a URL) leaves nothing unfiled."""
    return tuple(
        f"{mark.path}:{mark.line} {_LEAVES[mark.kind]}: {mark.text.strip()}"
        for mark in examination.marks
        if not _filed(mark)
    )


def matches(path: str, globs: Sequence[str]) -> bool:
    """Whether a path is covered: `*` and `?` stand for characters of one name, `**` for any
    number of folders, and a name without a wildcard at its end covers all that is below it.
    Every pattern begins at the root of the repository."""
    parts = _parts(path)
    return any(_covers(glob, parts) for glob in globs if glob.strip())


# --- paths that a person must see -----------------------------------------------------------

_PROSE = re.compile(r"\.(md|rst|txt|adoc)$", re.IGNORECASE)

_SENSITIVE: tuple[tuple[str, re.Pattern[str], bool], ...] = (
    # What is changed, by which paths, and whether a page of prose there counts too.
    (
        "a schema migration",
        re.compile(
            r"(^|/)(migrations?|alembic|flyway|liquibase)/"
            r"|(^|/)db/(migrate|schema\.rb$|structure\.sql$)|(^|/)alembic\.ini$"
            r"|(^|/)schema\.prisma$|(^|/)V\d+(_\d+)*__[^/]*\.sql$",
            re.IGNORECASE,
        ),
        False,
    ),
    (
        "CI or infrastructure",
        re.compile(
            r"^\.github/(workflows|actions)/|^\.gitlab-ci|^\.gitlab/|^\.circleci/|^\.buildkite/"
            r"|^\.azure-pipelines|^\.travis\.yml$|^\.drone\.yml$|^\.woodpecker|^\.semaphore/"
            r"|(^|/)(azure-pipelines|bitbucket-pipelines|cloudbuild|appveyor)[^/]*\.ya?ml$"
            r"|(^|/)(Jenkins|Docker|Container)file([.-][^/]*)?$|\.dockerfile$"
            r"|(^|/)(docker-)?compose([.-][^/]*)?\.ya?ml$|\.(tf|tfvars|hcl|bicep)(\.json)?$"
            r"|(^|/)(k8s|kubernetes|helm|terraform|ansible|pulumi)/"
            r"|^(deploy|deployments?|infra|infrastructure|charts)/"
            r"|(^|/)(Procfile|Vagrantfile|fly\.toml|vercel\.json|netlify\.toml)$"
            r"|(^|/)(serverless|render)\.ya?ml$",
            re.IGNORECASE,
        ),
        False,
    ),
    (
        "the rules that WorkTrain, its agents or its reviewers follow",
        re.compile(
            r"^\.(worktrain|workrail)/|(^|/)(AGENTS|CLAUDE|GEMINI)(\.local|\.override)?\.md$"
            r"|(^|/)\.(claude|cursor|codex)/|(^|/)\.(cursorrules|windsurfrules|mcp\.json)$"
            r"|^\.github/copilot-instructions\.md$|(^|/)CODEOWNERS$",
            re.IGNORECASE,
        ),
        True,
    ),
    (
        "how git treats the repository",
        re.compile(r"(^|/)\.git(attributes|modules)$|^\.(githooks|husky)/", re.IGNORECASE),
        True,
    ),
)


# --- what was put off -------------------------------------------------------------------------

_LEAVES: Mapping[str, str] = {
    "todo": "leaves something to do, and names no filed issue",
    "skip": "takes a test out, and names no filed issue",
    "deferred": "puts work off, and names no filed issue",
}
_ISSUE = re.compile(r"(?<![\w&#])#\d{1,7}\b|\b([A-Z][A-Z0-9]{1,9})-\d+\b|https?://[^\s/]+/\S")
_NO_TRACKERS = frozenset({"AES", "ISO", "MD", "RFC", "RSA", "SHA", "UTF", "HTTP", "TODO", "XXX"})
"""Written like the key of an issue, and something else."""


def _filed(mark: Mark) -> bool:
    return any(found[1] not in _NO_TRACKERS for found in _ISSUE.finditer(mark.text))


# --- paths --------------------------------------------------------------------------------------


def _touched(examination: Examination) -> tuple[str, ...]:
    """Every path that the change writes, or takes away by a rename; sorted."""
    paths = {path for one in examination.changes for path in (one.path, one.was) if path}
    return tuple(sorted(paths))


def _covers(glob: str, path: Sequence[str]) -> bool:
    pattern = _parts(glob)
    if not pattern or not set(pattern[-1]) & set("*?"):
        pattern = [*pattern, "**"]
    return _fits(path, pattern, "**", lambda name, wanted: _fits(name, wanted, "*", _same))


def _same(one: str, wanted: str) -> bool:
    return wanted in ("?", one)


def _fits(
    items: Sequence[Item],
    pattern: Sequence[Pattern],
    many: object,
    fits: Callable[[Item, Pattern], bool],
) -> bool:
    """Whether items fit a pattern in which `many` stands for any number of them.

    Only the newest `many` is ever gone back to, so the time is at most the product of both
    lengths, whatever an agent declares.
    """
    at = begin = place = 0
    star = -1
    while at < len(items):
        if place < len(pattern) and pattern[place] == many:
            star, begin, place = place, at, place + 1
        elif place < len(pattern) and fits(items[at], pattern[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            begin += 1
            at, place = begin, star + 1
        else:
            return False
    return all(one == many for one in pattern[place:])


def _parts(path: str) -> list[str]:
    return [part for part in path.strip().split("/") if part not in ("", ".")]


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_TESTS = frozenset({"test", "tests", "spec", "specs", "testing"})


def _stem(declared: str) -> list[str]:
    """The words of a declared file's name; none where it is a pattern."""
    parts = _parts(declared)
    return [] if not parts or set(parts[-1]) & set("*?") else _words(_bare(parts[-1]))


def _tests_one_of(path: str, stems: Sequence[Sequence[str]]) -> bool:
    parts = _parts(path)
    name = _words(_bare(parts[-1]))
    folders = {word for part in parts[:-1] for word in _words(part)}
    if not _TESTS & ({*name} | folders):
        return False
    return any(
        list(stem) == name[begin : begin + len(stem)]
        for stem in stems
        for begin in range(len(name))
    )


def _bare(name: str) -> str:
    """A file's name without what follows its last dot."""
    return name.rpartition(".")[0] or name


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED_MAX} more" if len(paths) > NAMED_MAX else ""
    return ", ".join(paths[:NAMED_MAX]) + more
