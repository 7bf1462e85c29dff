"""Steps that a step brings along: its verification, its audit, the synthesis of its sessions."""

from collections.abc import Iterator
from dataclasses import replace

from worktrain.contracts.plan import Words
from worktrain.contracts.spec import Audit, ParallelStep, Step, Verification
from worktrain.engine.compile.draft import Draft, Placed
from worktrain.engine.prompt.fill import fill


def added(draft: Draft, words: Words) -> Draft:
    """The draft with each virtual step behind the step that it comes from."""
    steps = (
        replace(placed, body=tuple(one for inner in placed.body for one in _with_own(inner, words)))
        for placed in draft.steps
    )
    return replace(draft, steps=tuple(one for placed in steps for one in _with_own(placed, words)))


def _with_own(placed: Placed, words: Words) -> Iterator[Placed]:
    yield placed
    step = placed.step
    if isinstance(step, ParallelStep) and step.synthesis:
        synthesis = _step(
            f"{step.id}__synthesis",
            f"Put together: {step.title}",
            step.synthesis.prompt,
            outputContract=step.synthesis.outputContract,
            gives=step.synthesis.gives,
            notesOptional=step.notesOptional,
        )
        yield _behind(placed, synthesis, "synthesis", synthesis_of=step.id)
    if isinstance(step, Step):
        texts = {
            "verification": _verification(step.verification, words) if step.verification else "",
            "audit": _audit(step.audit, words) if step.audit else "",
        }
        for kind, text in texts.items():
            if text:
                virtual = _step(
                    f"{step.id}__{kind}",
                    f"{kind.capitalize()}: {step.title}",
                    text,
                    runCondition=step.runCondition,
                    modelTier=step.modelTier,
                    notesOptional=True,
                )
                yield _behind(placed, virtual, kind)


def _step(name: str, title: str, prompt: str, **fields: object) -> Step:
    # An id with underscores is one that no author can write: it cannot be taken already.
    step = Step(id="virtual", title="virtual", prompt=prompt)
    return step.model_copy(update={"id": name, "title": title, **fields})


def _behind(placed: Placed, step: Step, field: str, synthesis_of: str | None = None) -> Placed:
    return Placed(step, placed.at(field), placed.home, placed.called, synthesis_of=synthesis_of)


def _verification(wanted: Verification, words: Words) -> str:
    asked, command = wanted.prompt or "", wanted.command or ""
    if words.verification:
        return fill(words.verification, prompt=asked, command=command).strip()
    return _paragraphs(asked, command)


def _audit(wanted: Audit, words: Words) -> str:
    asked = wanted.prompt or ""
    if words.audit:
        return fill(words.audit, prompt=asked, rubric=wanted.rubric).strip()
    return _paragraphs(asked, *wanted.rubric)


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text.strip() for text in texts if text.strip())
