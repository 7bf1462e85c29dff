"""From an authored spec to the plan that is walked and the script that is spoken."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Compiled, Plan, Script, Words
from worktrain.contracts.spec import Spec, Step
from worktrain.engine.compile import blocks, check, expand, functions, texts, tokens, virtual
from worktrain.engine.compile.draft import Draft
from worktrain.engine.compile.planned import planned, schemas
from worktrain.engine.fault import Fault


@dataclass(frozen=True)
class Around:
    """What a spec may name that is not in it."""

    routines: Mapping[str, Spec] = field(default_factory=dict)
    """By id."""
    bindings: Mapping[str, str] = field(default_factory=dict)
    """What the project puts into each slot."""
    contracts: Mapping[str, JsonObject] = field(default_factory=dict)
    """JSON Schema of each of the project's own artifact kinds."""


class Uncompilable(Exception):
    """The spec can be read but not run; `str()` has one line for each fault."""

    def __init__(self, spec: str, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(f"{spec}: {fault}" for fault in faults))
        self.faults = faults


def compile_spec(spec: Spec, words: Words, around: Around = Around()) -> Compiled:
    """Check what a schema cannot, and pin every text. Raises `Uncompilable` with every fault."""
    faults: list[Fault] = []
    draft = _assembled(spec, words, around, faults)
    faults.extend(check.faults(draft, around.contracts))
    if faults:
        raise Uncompilable(spec.id, tuple(dict.fromkeys(faults)))
    return _pinned(draft, words, around)


def _assembled(spec: Spec, words: Words, around: Around, faults: list[Fault]) -> Draft:
    """The spec with everything put in that it names. The order is WorkRail's."""
    draft = expand.expanded(spec, around.routines, faults)
    points = [point for home in draft.homes.values() for point in home.extensionPoints]
    draft = draft.rewritten(tokens.bindings(points, around.bindings, faults))
    draft = blocks.featured(draft, words.features)
    draft = draft.rewritten(tokens.refs(words.refs, faults))
    draft = blocks.written(draft, tokens.ref_texts(words.refs), faults)
    draft = functions.put_in(draft, faults)
    draft.rewritten(tokens.leftover(faults))
    return virtual.added(draft, words)


def _pinned(draft: Draft, words: Words, around: Around) -> Compiled:
    spec, own = draft.spec, around.contracts
    said = [placed for placed in draft.walked() if isinstance(placed.step, Step)]
    of = len(said) if _straight(draft) else 0
    prompts = {
        placed.step.id: texts.prompt(placed, number if of else 0, of, draft, words, own)
        for number, placed in enumerate(said, 1)
    }
    steps = [placed.step for placed in said if isinstance(placed.step, Step)]
    contracts = texts.contracts(draft, own)
    footer = texts.footer(spec, words)
    return Compiled(
        plan=Plan(
            spec=spec.id,
            model_tier=spec.modelTier,
            steps=tuple(planned(placed, draft, own, prompts) for placed in draft.steps),
            needs=schemas(spec.needs),
            gives=schemas(spec.gives),
            contracts={kind: own[kind] for kind in contracts if kind in own},
        ),
        script=Script(
            spec=spec.id,
            system=texts.system(draft, words),
            prompts=prompts,
            words=words,
            systems={step.id: step.systemPrompt for step in steps if step.systemPrompt},
            fragments={
                f"{step.id}/{one.id}": one.text for step in steps for one in step.promptFragments
            },
            footers={steps[-1].id: footer} if footer and steps else {},
            contracts=contracts,
        ),
    )


def _straight(draft: Draft) -> bool:
    """Whether every step is said once, in the order written: only then can a number be true."""
    return all(
        isinstance(one.step, Step) and one.step.runCondition is None and not one.step.jumpIf
        for one in draft.walked()
    )
