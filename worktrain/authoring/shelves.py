"""Where specs lie: what comes with WorkTrain, the user's own, those of a checkout or a folder."""

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from worktrain.adapters.catalogue import Catalogue, Entry, sources
from worktrain.adapters.catalogue.sources import File, Layer, Sources
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.engine.parse.problem import Problem, Unreadable
from worktrain.settings import Settings

# Ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Meant:
    """One spec that somebody named by its id or its file."""

    files: Catalogue
    id: str
    around: Catalogue
    """What it may name besides."""


def meant(settings: Settings, name: str, repo: Path | None) -> Meant:
    """What is meant by an id, or by the path of a file: with a `/` or the suffix of a spec.

    Raises `AdapterError` not_found with the nearest ids, and like `around` and `at`.
    """
    path = Path(name)
    if "/" not in name and path.suffix.lower() not in sources.SUFFIXES:
        catalogue = around(settings, repo)
        catalogue.text(name)
        return Meant(catalogue, catalogue.resolved(name) or name, catalogue)
    if not path.is_file():
        raise AdapterError(FailureKind.NOT_FOUND, f"there is no file {name!r}")
    files, ids = at(path)
    return Meant(files, ids[0], around(settings, repo, path))


def around(settings: Settings, repo: Path | None, place: Path = Path()) -> Catalogue:
    """The specs of the checkout that `repo` is in. Without one, of the checkout that `place` is
    in, or if it is in none those that are there everywhere.

    Raises `AdapterError` misconfigured: `repo` is in no repository.
    """
    checkout = checkout_of(repo or place)
    if checkout is None and repo is not None:
        from worktrain import access

        return asyncio.run(access.specs_of(settings, str(repo)))
    return specs(settings, checkout)


@dataclass(frozen=True)
class Listed:
    entry: Entry
    steps: int | None
    """None where it cannot be read."""


def listed(catalogue: Catalogue) -> tuple[Listed, ...]:
    """Every spec, in order of the ids. Those that came with WorkTrain are known to be readable;
    any other is read, and its entry has what keeps it from being."""
    return tuple(_listed(catalogue, entry) for entry in catalogue.entries())


def warnings(catalogue: Catalogue) -> tuple[Problem, ...]:
    """What is wrong with the files around the specs: bindings, contracts, too many of them."""
    try:
        return catalogue.warnings()
    except Unreadable as error:
        return error.problems


def specs(settings: Settings, checkout: Path | None) -> Catalogue:
    """The bundled specs, the user's own over them, and over those a checkout's, committed or not.

    Sessions follow what stands on the base that they start from: `access.specs_of`.
    """
    below = (sources.bundled(), sources.of_user(settings.home / "specs"))
    if checkout is None:
        return Catalogue(Sources(below))
    contracts = sources.of_user(checkout / sources.CONTRACTS).files
    bindings = (checkout / path for path in sources.BINDINGS)
    return Catalogue(
        Sources(
            layers=(*below, *_layers(checkout)),
            bindings=tuple(_file(path) for path in bindings if path.is_file()),
            contracts={file.path: file.text for file in contracts if not file.problem},
        )
    )


def at(path: Path) -> tuple[Catalogue, tuple[str, ...]]:
    """What lies in a file, a folder or a checkout, by itself, and the ids of what is meant there:
    of a file the routines next to it are on the shelf too.

    Raises `AdapterError` misconfigured: no text, nothing there.
    """
    if path.is_dir():
        shelf = Catalogue(Sources(_layers(path) if _is_checkout(path) else (_folder(path),)))
        if not shelf.names():
            raise _misconfigured(f"{path} has no spec in it: no .yaml, .yml or .json file")
        return shelf, shelf.names()
    home = path.parent.parent if path.absolute().parent.name == "routines" else path.parent
    beside = [file for file in _routines(home).files if not _is_same(file, path)]
    shelf = Catalogue(Sources((Layer("user", str(home), (_file(path), *beside)),)))
    return shelf, tuple(entry.id for entry in shelf.entries() if entry.path == str(path))


def checkout_of(place: Path) -> Path | None:
    """The checkout that a path lies in, named from the current directory if that is inside."""
    here = Path.cwd()
    for folder in (place.resolve(), *place.resolve().parents):
        if _is_checkout(folder):
            return Path(os.path.relpath(folder)) if here.is_relative_to(folder) else folder
    return None


def _listed(catalogue: Catalogue, entry: Entry) -> Listed:
    if entry.source == "bundled":
        authored = yaml.load(catalogue.text(entry.id), Loader=_LOADER)  # noqa: S506
        return Listed(entry, len(authored["steps"]))
    try:
        spec, told = catalogue.read(entry.id)
    except Unreadable as error:
        return Listed(entry.model_copy(update={"problems": error.problems}), None)
    return Listed(entry.model_copy(update={"problems": told}), len(spec.steps))


def _layers(checkout: Path) -> tuple[Layer, ...]:
    found = (sources.of_user(checkout / folder) for folder in sources.SPECS)
    return tuple(replace(layer, kind="repository") for layer in found)


def _folder(path: Path) -> Layer:
    if path.absolute().name == "routines":
        return _routines(path.parent)
    return sources.of_user(path)


def _routines(home: Path) -> Layer:
    """What lies in `routines` below a folder, as a part of that folder."""
    return replace(sources.of_user(home / "routines"), folder=str(home))


def _is_checkout(folder: Path) -> bool:
    return (folder / ".git").exists()


def _is_same(file: File, path: Path) -> bool:
    return os.path.abspath(file.path) == os.path.abspath(path)


def _file(path: Path) -> File:
    try:
        return File(str(path), path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise _misconfigured(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise _misconfigured(f"{path} cannot be read: {error.strerror}") from error


def _misconfigured(said: str) -> AdapterError:
    return AdapterError(FailureKind.MISCONFIGURED, f"{said}.")
