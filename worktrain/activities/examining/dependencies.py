"""What a change asks of other people's code: dependencies that are new, or majors newer."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

Names = dict[str, str]
"""Version, as it is written, by name; empty for none."""


def is_manifest(path: str) -> bool:
    """Whether a file names the dependencies of a project."""
    return _reader(path) is not None


def upgrades(path: str, before: str | None, after: str, added: str) -> Iterator[str]:
    """Sentences about each dependency that the lines added to a manifest bring in, or lift to
    another major version. `before` is the file on the base, None where there was none."""
    reader = _reader(path)
    if reader is None:
        return
    try:
        old, new = reader(before or ""), reader(after)
    except (ValueError, RecursionError, AttributeError, TypeError):
        yield f"{path} names dependencies and cannot be read"
        return
    lines = _plain(added)
    for name in sorted(new):
        # What else differs was done on the base meanwhile.
        if old.get(name) == new[name] or _plain(name.rpartition(":")[2]) not in lines:
            continue
        if name not in old:
            yield f"{path} adds the dependency {name}"
        elif _majors(old[name]) != _majors(new[name]):
            yield (
                f"{path} changes the major version of the dependency {name} "
                f"from {old[name] or 'any'} to {new[name] or 'any'}"
            )


def _reader(path: str) -> Callable[[str], Names] | None:
    found = PurePosixPath(path)
    if found.parent.name == "requirements" and found.suffix in (".txt", ".in"):
        return _lines
    return next((read for pattern, read in _MANIFESTS if pattern.fullmatch(found.name)), None)


def _majors(version: str) -> list[str]:
    """What counts as the major of each version that is named: the first number, below 1 the
    second too; the whole text where there is none, as for a branch or an address."""
    if "://" in version or version.startswith(("git", "file:")):
        return [version]
    found = re.findall(r"(\d{1,9})(?:\.(\d{1,9}))?[\w.*+-]*", version)
    return [f"0.{second}" if first == "0" else first for first, second in found] or [version]


def _plain(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


# --- one reader per kind of manifest -----------------------------------------------------------

_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*([^;#]*)")


def _requirement(line: str) -> tuple[str, str]:
    """Name and version of a line as pip understands it; an address is its own name."""
    text = line.strip().removeprefix("-e ").strip()
    found = _REQUIREMENT.match(text)
    if found is None or "://" in text.partition("@")[0]:
        return text, text
    return _plain(found[1]), found[2].strip()


def _lines(text: str) -> Names:
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    named = (line for line in lines if line and not line.startswith(("#", "--")))
    return dict(_requirement(line) for line in named if not line.startswith(("-r", "-c")))


def _pyproject(text: str) -> Names:
    found = tomllib.loads(text)
    project, tool = found.get("project", {}), found.get("tool", {})
    groups = [
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *found.get("dependency-groups", {}).values(),
        found.get("build-system", {}).get("requires", []),
    ]
    names = dict(_requirement(one) for group in groups for one in group if isinstance(one, str))
    poetry = tool.get("poetry", {})
    tables = [poetry, *poetry.get("group", {}).values()]
    return names | _tables(tables, "dependencies", "dev-dependencies")


def _cargo(text: str) -> Names:
    found = tomllib.loads(text)
    tables = [found, found.get("workspace", {}), *found.get("target", {}).values()]
    return _tables(tables, "dependencies", "dev-dependencies", "build-dependencies")


def _pipfile(text: str) -> Names:
    return _tables([tomllib.loads(text)], "packages", "dev-packages")


def _json(*keys: str) -> Callable[[str], Names]:
    return lambda text: _tables([json.loads(text or "{}")], *keys)


def _tables(tables: list[Any], *keys: str) -> Names:
    return {
        name: _version(asked)
        for table in tables
        for key in keys
        for name, asked in table.get(key, {}).items()
    }


def _version(asked: object) -> str:
    if isinstance(asked, Mapping):
        sources = (asked.get(key) for key in ("version", "git", "path", "url"))
        return str(next((one for one in sources if one), ""))
    return str(asked)


def _matched(pattern: str) -> Callable[[str], Names]:
    found = re.compile(pattern, re.MULTILINE)
    return lambda text: {one["name"]: one["version"] or "" for one in found.finditer(text)}


_MANIFESTS: tuple[tuple[re.Pattern[str], Callable[[str], Names]], ...] = tuple(
    (re.compile(name), reader)
    for name, reader in (
        (r"pyproject\.toml", _pyproject),
        (r"(?:.*requirements.*|constraints.*)\.(?:txt|in)", _lines),
        (r"Pipfile", _pipfile),
        (r"Cargo\.toml", _cargo),
        (
            r"package\.json",
            _json("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"),
        ),
        (r"composer\.json", _json("require", "require-dev")),
        (
            r"go\.mod",
            _matched(r"^\s*(?:require\s+)?(?P<name>[\w.~/-]+\.[\w.~/-]+) (?P<version>v\S+)"),
        ),
        (
            r"Gemfile|.*\.gemspec",
            _matched(
                r"^\s*(?:gem|\w+\.add_\w*dependency)[ (]+[\"'](?P<name>[^\"']+)[\"']"
                r"(?:\s*,\s*[\"'](?P<version>[^\"']+)[\"'])?"
            ),
        ),
        (
            r".*\.gradle(?:\.kts)?",
            _matched(r"^\s*\w+[ (]+[\"'](?P<name>[\w.-]+:[\w.-]+)(?::(?P<version>[^\"']+))?[\"']"),
        ),
        (
            r"pom\.xml",
            _matched(
                r"<artifactId>(?P<name>[^<]+)</artifactId>"
                r"(?:\s*<version>(?P<version>[^<]+)</version>)?"
            ),
        ),
        (
            r"[^/]*\.csproj|Directory\.Packages\.props",
            _matched(
                r"<Package(?:Reference|Version) Include=\"(?P<name>[^\"]+)\""
                r"(?: Version=\"(?P<version>[^\"]+)\")?"
            ),
        ),
    )
)
