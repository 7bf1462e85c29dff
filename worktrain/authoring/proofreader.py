"""What is wrong with a spec, with everything around it, told in the files where it stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.plan import Compiled
from worktrain.contracts.spec import Spec
from worktrain.engine import inspect, templates
from worktrain.engine.compile import Uncompilable, compile_spec
from worktrain.engine.fault import Fault
from worktrain.engine.parse.problem import Problem, Unreadable

ABOUT_THE_CALL = ("nested-loop", "routine-ends")
"""Rules of the call itself, among the faults that stand at a `templateCall`."""


class Proofreader:
    """Finds what is wrong with specs. They may name what stands next to them, and in `around`.

    Raises `Unreadable` when the bindings of `around` cannot be read.
    """

    def __init__(self, around: Catalogue) -> None:
        self._shelf = around
        self._around = around.around()
        self._words = around.words()
        self._known: dict[tuple[Catalogue, str], tuple[Problem, ...]] = {}

    def compiled(self, files: Catalogue, name: str) -> Compiled:
        """What a spec comes to. Raises `AdapterError` not_found, and `Unreadable` with every
        place that keeps it from running."""
        spec, _ = files.read(name)
        try:
            return self._compiled(spec, self._routines(files))
        except Uncompilable as error:
            told = tuple(one for one in self.problems(files, name) if one.level == "error")
            raise Unreadable(told or files.placed(name, error.faults)) from error

    def problems(self, files: Catalogue, name: str) -> tuple[Problem, ...]:
        """Errors and warnings, each in the file that it is about: what is wrong with a routine is
        told there, by whichever spec it was found."""
        key = (files, name)
        if key not in self._known:
            # A routine that leads back here is told of by the one that calls it.
            self._known[key] = ()
            self._known[key] = self._found(files, name)
        return self._known[key]

    def _found(self, files: Catalogue, name: str) -> tuple[Problem, ...]:
        try:
            spec, warnings = files.read(name)
        except Unreadable as error:
            return error.problems
        routines = self._routines(files)
        faults: Sequence[Fault]
        try:
            faults = inspect.faults(spec, self._compiled(spec, routines).plan)
        except Unreadable as error:
            return (*warnings, *error.problems)
        except Uncompilable as error:
            faults = error.faults
        if files.resolved(name) in files.routines():
            faults = [fault for fault in faults if not _is_for_the_caller(spec, fault)]
        own: list[Fault] = []
        others: list[Problem] = []
        for fault in faults:
            theirs = self._theirs(fault, routines) if _came_with_a_routine(fault) else ()
            others += theirs
            if not theirs:
                own.append(fault)
        return (*warnings, *files.placed(name, own), *others)

    def _theirs(self, fault: Fault, routines: "_Routines") -> tuple[Problem, ...]:
        """The problems of the routines themselves that a fault at a call comes from."""
        return tuple(
            problem
            for shelf, name in dict.fromkeys(routines.used)
            for problem in self.problems(shelf, name)
            if problem.rule == fault.rule
        )

    def _routines(self, files: Catalogue) -> "_Routines":
        beside = [] if files is self._shelf else [(files, files.around().routines)]
        return _Routines((*beside, (self._shelf, self._around.routines)))

    def _compiled(self, spec: Spec, routines: "_Routines") -> Compiled:
        return compile_spec(spec, self._words, replace(self._around, routines=routines))


class _Routines(Mapping[str, Spec]):
    """The routines of several shelves, of which the first counts; remembers which were used."""

    def __init__(self, shelves: Sequence[tuple[Catalogue, Mapping[str, Spec]]]) -> None:
        self._shelves = shelves
        self.used: list[tuple[Catalogue, str]] = []

    def __getitem__(self, name: str) -> Spec:
        for shelf, routines in self._shelves:
            if name in routines:
                self.used.append((shelf, shelf.resolved(name) or name))
                return routines[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in routines for _, routines in self._shelves)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for _, routines in self._shelves for name in routines))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _came_with_a_routine(fault: Fault) -> bool:
    """What stands in a routine has no place of its own in the spec that calls it."""
    path = fault.path
    if path[-1:] == ("templateCall",):
        return fault.rule not in ABOUT_THE_CALL
    return len(path) > 1 and path[0] == "steps" and isinstance(path[1], str)


def _is_for_the_caller(spec: Spec, fault: Fault) -> bool:
    """Whether a routine only seems wrong while nobody has filled in an `{argument}`."""
    if not fault.path or isinstance(fault.path[-1], int):
        return False
    value = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for part in fault.path:
        try:
            value = value[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    return any(templates.expanded(text, {})[1] for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
