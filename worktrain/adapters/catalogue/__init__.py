"""The specs that a session can follow: the bundled ones, the user's, and a repository's own."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import RootModel

from worktrain.adapters.catalogue import heads, sources
from worktrain.adapters.catalogue.heads import Head
from worktrain.adapters.catalogue.sources import File, Kind, Layer, Sources
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.base import JsonObject, Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.plan import Words
from worktrain.contracts.spec import Spec
from worktrain.engine.compile import Around
from worktrain.engine.contracts_check.own_contracts import own_contracts
from worktrain.engine.fault import Fault
from worktrain.engine.parse import located, read, read_spec
from worktrain.engine.parse.problem import Problem, Unreadable

ROUTINE_PREFIXES = ("routine-", "wr.routine-")
_ID = re.compile(r"[a-z0-9_.-]{3,64}")


async def catalogue_at(
    workspaces: Workspaces, repo: str, commit: str, home: Path | None
) -> "Catalogue":
    """What sessions of a repository follow: its own files as they stand on `commit`, over those
    of the user (in `specs/` of WorkTrain's home), over the bundled ones."""
    own = await sources.of_repository(workspaces, repo, commit)
    below = await asyncio.to_thread(_below, home)
    return Catalogue(Sources((*below, *own.layers), own.bindings, own.contracts))


class Entry(Value):
    """One spec, as a list shows it. What it says of itself is empty where it cannot be read."""

    id: str
    """Its path, when it has no id of its own that could be read."""
    name: str
    description: str
    version: str
    tags: tuple[str, ...]
    source: Kind
    path: str
    routine: bool
    """Whether other specs may put its steps in place of one of theirs."""
    problems: tuple[Problem, ...] = ()


class Catalogue:
    """Specs by id, of which the last source counts; without sources, the bundled ones.

    A file that cannot be read keeps no other from being read; asking for it raises `Unreadable`,
    which says why. Only what is asked for is read in full.
    """

    def __init__(self, given: Sources | None = None) -> None:
        self._given = given or Sources((sources.bundled(),))
        self._known: dict[str, _Known] = {}
        for layer in self._given.layers:
            self._known |= _of_layer(layer)
        self._read: dict[str, tuple[Spec, tuple[Problem, ...]]] = {}

    @classmethod
    def of_user(cls, home: Path) -> "Catalogue":
        """The bundled specs, and the user's own over them."""
        return cls(Sources(_below(home)))

    def entries(self, *, checked: bool = False) -> tuple[Entry, ...]:
        """Everything that there is, in order of the ids. Problems are those of files that are no
        document, or have no id; `checked` reads each in full, and tells all."""
        return tuple(self._entry(self._known[known], checked) for known in self.names())

    def names(self) -> tuple[str, ...]:
        """All ids, in order."""
        return tuple(sorted(self._known))

    def warnings(self) -> tuple[Problem, ...]:
        """What is wrong with the files around the specs, and stops none of them."""
        return (
            *(_left_out(layer) for layer in self._given.layers if layer.left_out),
            *self._bound()[1],
            *self._contracts()[1],
        )

    def text(self, spec: str) -> str:
        """The file of a spec. Raises `AdapterError` not_found naming the nearest ids."""
        return self._found(spec).file.text

    def spec(self, spec: str) -> Spec:
        """Raises like `text`, and `Unreadable` with file, line and column."""
        return self.read(spec)[0]

    def read(self, spec: str) -> tuple[Spec, tuple[Problem, ...]]:
        """A spec, and what whoever wrote it should know of. Raises like `spec`."""
        found = self._found(spec)
        if found.id not in self._read:
            self._read[found.id] = found.read()
        return self._read[found.id]

    def placed(self, spec: str, faults: Sequence[Fault]) -> tuple[Problem, ...]:
        """Where in its file each fault of a spec that could be read stands."""
        found = self._found(spec)
        return located(found.file.text, found.file.path, faults)

    def around(self) -> Around:
        """What a spec may name that is not in it. Raises `Unreadable` for the bindings."""
        return Around(
            routines=_Routines(self), bindings=self._bound()[0], contracts=self._contracts()[0]
        )

    def words(self) -> Words:
        """What every session says to a model."""
        name = "prompts/session.yaml"
        text = (files("workflow_specs") / "prompts" / "session.yaml").read_text(encoding="utf-8")
        return read(text, Words, f"workflow_specs/{name}")

    def resolved(self, spec: str) -> str | None:
        """The id that is meant: this one, or ours for a `wr.X` of WorkRail's that is not there."""
        bare = spec.removeprefix("wr.")
        return next((known for known in (spec, bare) if known in self._known), None)

    def routines(self) -> tuple[str, ...]:
        """The ids of all routines, in order."""
        return tuple(name for name in self.names() if self._known[name].routine)

    def _found(self, spec: str) -> "_Known":
        known = self.resolved(spec)
        if known is not None:
            return self._known[known]
        near = get_close_matches(spec[:100], self._known, n=3)
        named = " or ".join(map(repr, near))
        raise AdapterError(
            FailureKind.NOT_FOUND,
            f"there is no spec {spec[:100]!r}; "
            + (f"did you mean {named}?" if near else f"there are {', '.join(self.names())}"),
        )

    def _entry(self, known: "_Known", checked: bool) -> Entry:
        head, problems = known.head, known.problems
        nameless = known.id == known.file.path
        if not problems and (checked or nameless or not head.whole):
            try:
                spec, problems = self.read(known.id)
            except Unreadable as error:
                problems = error.problems
            else:
                head = Head(spec.id, spec.name, spec.description, spec.version, spec.tags)
        return Entry(
            id=known.id,
            name=head.name,
            description=head.description,
            version=head.version,
            tags=head.tags,
            source=known.source,
            path=known.file.path,
            routine=known.routine,
            problems=problems,
        )

    def _bound(self) -> tuple[dict[str, str], tuple[Problem, ...]]:
        """The id in each slot; one that is none leaves the slot its default."""
        bound: dict[str, str] = {}
        drifted: dict[str, Problem] = {}
        for file in self._given.bindings:
            for slot, name in read(file.text, _Bindings, file.path).root.items():
                bound.pop(slot, None)
                drifted.pop(slot, None)
                known = self.resolved(name)
                if known is not None:
                    bound[slot] = known
                    continue
                said = (
                    f"BINDING_DRIFT: slot {slot!r} is bound to {name!r}, which is no spec here; "
                    "its default holds"
                )
                drifted[slot] = _problem(file.path, said, "BINDING_DRIFT", "warning")
        return bound, tuple(drifted.values())

    def _contracts(self) -> tuple[dict[str, JsonObject], tuple[Problem, ...]]:
        """The project's kinds from all files that can be read, and why others cannot."""
        texts, wrong = dict(self._given.contracts), list[Problem]()
        while texts:
            try:
                return own_contracts(texts), tuple(wrong)
            except Unreadable as error:
                wrong += error.problems
                bad = {problem.file for problem in error.problems}
                if bad.isdisjoint(texts):
                    raise
                texts = {path: text for path, text in texts.items() if path not in bad}
        return {}, tuple(wrong)


class _Bindings(RootModel[dict[str, str]]):
    """Slots of extension points, and the id of what the project puts into each."""


@dataclass(frozen=True)
class _Known:
    id: str
    source: Kind
    routine: bool
    file: File
    head: Head
    problems: tuple[Problem, ...]
    """Why it is not even tried to read it."""

    def read(self) -> tuple[Spec, tuple[Problem, ...]]:
        if self.problems:
            raise Unreadable(self.problems)
        return read_spec(self.file.text, self.file.path)


class _Routines(Mapping[str, Spec]):
    """The routines of a catalogue, each read when it is asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._ids = catalogue.routines()

    def __getitem__(self, name: str) -> Spec:
        if name not in self:
            raise KeyError(name)
        return self._catalogue.spec(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._catalogue.resolved(name) in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _below(home: Path | None) -> tuple[Layer, ...]:
    own = (sources.of_user(home / "specs"),) if home else ()
    return (sources.bundled(), *own)


def _of_layer(layer: Layer) -> dict[str, _Known]:
    """By id. Of two files with one id the first has it, in order of their paths."""
    made: dict[str, _Known] = {}
    for file in layer.files:
        head = heads.head_of(file.text)
        name = head.id if _ID.fullmatch(head.id) else file.path
        said = file.problem
        if name in made:
            said = f"the id {name!r} is taken by {made[name].file.path}; give one of them another"
            name = file.path
        problems = (_problem(file.path, said, "unreadable-file"),) if said else ()
        folders = file.path.removeprefix(layer.folder).split("/")[:-1]
        routine = "routines" in folders or name.startswith(ROUTINE_PREFIXES)
        made[name] = _Known(name, layer.kind, routine, file, head, problems)
    return made


def _left_out(layer: Layer) -> Problem:
    said = (
        f"{layer.left_out} more files were not read: {sources.FILES_MAX} are, in order of their "
        "paths"
    )
    return _problem(layer.folder, said, "too-many-files", "warning")


def _problem(
    path: str, message: str, rule: str, level: Literal["error", "warning"] = "error"
) -> Problem:
    return Problem(file=path, line=1, column=1, message=message, rule=rule, level=level)
