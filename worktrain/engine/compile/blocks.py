"""promptBlocks as text, with what the spec's features add to them."""

from collections.abc import Mapping, Sequence

from worktrain.contracts.spec import PromptBlocks, Prose, RefPart, Step
from worktrain.engine.compile.draft import Draft, Placed
from worktrain.engine.fault import Fault, Path, nearest


def featured(draft: Draft, words: Mapping[str, Mapping[str, str]]) -> Draft:
    """The draft with the texts of its features in the blocks that they belong to.

    Steps with a `prompt` are the author's own words and stay as they are.
    """

    def change(placed: Placed) -> Placed:
        step = placed.step
        if not isinstance(step, Step) or step.promptBlocks is None:
            return placed
        homes = (draft.spec, draft.homes[placed.home])
        features = dict.fromkeys(feature for home in homes for feature in home.features)
        added: dict[str, tuple[Prose, ...]] = {}
        for feature in features:
            for block, text in words.get(feature, {}).items():
                before = added.get(block, getattr(step.promptBlocks, block))
                added[block] = (*before, text.strip())
        return placed.changed(promptBlocks=step.promptBlocks.model_copy(update=added))

    return draft.each(change)


def written(draft: Draft, refs: Mapping[str, str], faults: list[Fault]) -> Draft:
    """The draft with a `prompt` in place of all promptBlocks. `refs`: text by name."""

    def change(placed: Placed) -> Placed:
        step = placed.step
        if not isinstance(step, Step) or step.promptBlocks is None:
            return placed
        for path, ref in _references(step.promptBlocks):
            if _name(ref) not in refs:
                said = f"there is no ref {_name(ref)!r}{nearest(_name(ref), refs)}"
                path = placed.at("promptBlocks", *path)
                faults.append(Fault(path=path, rule="unknown-ref", message=said))
        return placed.changed(prompt=_text(step.promptBlocks, refs), promptBlocks=None)

    return draft.each(change)


def _references(blocks: PromptBlocks) -> list[tuple[Path, str]]:
    """Each ref part: where it stands below the blocks, and what it names."""
    places: list[tuple[Path, Prose]] = [(("goal",), blocks.goal or "")]
    for name in ("constraints", "procedure", "verify"):
        places += [((name, at), prose) for at, prose in enumerate(getattr(blocks, name))]
    places += [(("outputRequired", name), prose) for name, prose in blocks.outputRequired.items()]
    return [
        ((*path, at, "refId"), part.refId)
        for path, prose in places
        if not isinstance(prose, str)
        for at, part in enumerate(prose)
        if isinstance(part, RefPart)
    ]


def _name(ref: str) -> str:
    return ref.removeprefix("wr.refs.")


def _text(blocks: PromptBlocks, refs: Mapping[str, str]) -> str:
    def said(prose: Prose) -> str:
        if isinstance(prose, str):
            return prose.strip()
        return "".join(
            refs.get(_name(part.refId), "") if isinstance(part, RefPart) else part.text
            for part in prose
        ).strip()

    def listed(items: Sequence[Prose], *, numbered: bool = False) -> str:
        return "\n".join(
            _item(f"{number}." if numbered else "-", said(item))
            for number, item in enumerate(items, 1)
        )

    output = [_item("-", f"{name}: {said(text)}") for name, text in blocks.outputRequired.items()]
    parts = {
        "Goal": said(blocks.goal or ""),
        "Constraints": listed(blocks.constraints),
        "Procedure": listed(blocks.procedure, numbered=True),
        "Output Required": "\n".join(output),
        "Verify": listed(blocks.verify),
    }
    return "\n\n".join(f"## {title}\n{text}" for title, text in parts.items() if text)


def _item(mark: str, text: str) -> str:
    """One entry of a list; its further lines stand below its first."""
    return f"{mark} {text}".replace("\n", "\n" + " " * (len(mark) + 1))
