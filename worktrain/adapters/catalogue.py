"""The bundled specs and the words that every session uses, read from the installed package."""

from difflib import get_close_matches
from importlib.resources import files

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.spec import Spec, Words
from worktrain.engine.parse import read


class Catalogue:
    """Everything in `workflow_specs/`. Reading raises `engine.parse.Unreadable`."""

    def __init__(self) -> None:
        self._root = files("workflow_specs")

    def names(self) -> tuple[str, ...]:
        """The ids of all specs, in order."""
        return tuple(
            sorted(
                entry.name.removesuffix(".yaml")
                for entry in self._root.iterdir()
                if entry.name.endswith(".yaml")
            )
        )

    def text(self, spec: str) -> str:
        """The file of a spec. Raises `AdapterError` not_found naming the nearest id."""
        names = self.names()
        if spec not in names:
            near = get_close_matches(spec, names, n=1)
            raise AdapterError(
                FailureKind.NOT_FOUND,
                f"there is no spec {spec!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"),
            )
        return (self._root / f"{spec}.yaml").read_text(encoding="utf-8")

    def spec(self, spec: str) -> Spec:
        return read(self.text(spec), Spec, f"workflow_specs/{spec}.yaml")

    def words(self) -> Words:
        name = "prompts/session.yaml"
        text = (self._root / "prompts" / "session.yaml").read_text(encoding="utf-8")
        return read(text, Words, f"workflow_specs/{name}")
