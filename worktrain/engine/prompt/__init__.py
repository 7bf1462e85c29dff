"""What the model reads: every word comes from the script, every fact from the session."""

import json
import re
from collections.abc import Mapping, Sequence

from worktrain.contracts.plan import Context, Script, Words
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.session import SessionClosed, SessionEnding, SessionRequest
from worktrain.contracts.tool import ARGUMENTS
from worktrain.contracts.turn import (
    Blocker,
    CallAnswered,
    Continued,
    CutOff,
    Delegated,
    Message,
    NearLimit,
    Pass,
    Reminder,
    Rewound,
    Say,
    Spawned,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    TextBlock,
    ToolDone,
    ToolResultBlock,
    ToolSchema,
)
from worktrain.engine.prompt.fill import fill
from worktrain.engine.prompt.reports import known, reported
from worktrain.engine.prompt.visible import cleaned, visible
from worktrain.engine.templates import filled

ALWAYS_OFFERED = frozenset({"complete_step", "report_issue"})
"""Tools without which no session can end or ask."""
KNOWN_TITLE = "What is known already"
_BACKTICKS = re.compile("`{3,}")


def context(request: SessionRequest, words: Words, workspace_rules: Mapping[str, str]) -> Context:
    """What this session is told at its start. `workspace_rules`: text by file name."""
    task = fill(
        words.task,
        title=cleaned(request.task.title),
        body=cleaned(request.task.body).strip() or "(no more than the title)",
        source=cleaned(request.task.source),
    )
    sections = [(section.title, section.body) for section in request.sections]
    if request.context:
        sections.append((KNOWN_TITLE, known(request.context)))
    opening = [
        ("the task", task),
        *((title, fill(words.section, title=title, body=body)) for title, body in sections),
    ]
    rules = [
        *([("the operator's rules", fill(words.rules, soul=request.soul))] if request.soul else []),
        *(
            (name, fill(words.workspace_rules, name=name, text=text))
            for name, text in workspace_rules.items()
        ),
    ]
    injected: dict[str, int] = {}
    for title, part in (*opening, *rules):
        injected[title] = injected.get(title, 0) + len(part)
    return Context(
        opening="\n\n".join(part.strip() for _, part in opening),
        rules="\n\n".join(part for _, part in rules),
        injected=injected,
    )


def system(script: Script, told: Context, step: str) -> tuple[str, ...]:
    """The layers of the system prompt, from most to least stable; empty ones left out.

    Those of steps without a system prompt of their own are the same bytes.
    """
    own = script.systems.get(step, "")
    layers = (script.words.base, script.system, own, told.rules)
    return tuple(layer for layer in layers if layer.strip())


def tools(words: Words, allowed: Sequence[str] = ()) -> tuple[ToolSchema, ...]:
    """The tools as they are offered, in a fixed order: they open the cached prefix.

    With `allowed` only those, and the ones without which no session can end.
    """
    return tuple(
        ToolSchema(
            name=name, description=words.tools[name], parameters=arguments.model_json_schema()
        )
        for name, arguments in ARGUMENTS.items()
        # A script that was pinned before a tool existed has no words for it.
        if name in words.tools and (not allowed or name in allowed or name in ALWAYS_OFFERED)
    )


def said(
    say: Sequence[Say],
    script: Script,
    told: Context | None,
    outputs: Mapping[str, ToolOutput],
    reports: Mapping[str, SessionClosed] = {},
    attached: Mapping[str, str] = {},
) -> Message:
    """The next user message. `told` is given for the first one; `outputs` by call id, `reports`
    by session id, `attached` texts by content hash.

    Tool results stand before text, as the API demands.
    """
    results: list[ToolResultBlock] = []
    texts = [TextBlock(text=told.opening)] if told else []
    for one in say:
        block = _block(one, script, outputs, reports, attached)
        if isinstance(block, ToolResultBlock):
            results.append(block)
        else:
            texts.append(block)
    return Message(role="user", blocks=(*results, *texts))


def _block(
    one: Say,
    script: Script,
    outputs: Mapping[str, ToolOutput],
    reports: Mapping[str, SessionClosed],
    attached: Mapping[str, str],
) -> ToolResultBlock | TextBlock:
    words = script.words
    match one:
        case StepPrompt():
            return TextBlock(text=_instruction(one, script))
        case Reminder(step=step):
            return TextBlock(text=fill(words.reminder, step=step))
        case CutOff(max_tokens=limit):
            return TextBlock(text=fill(words.cut_off, max_tokens=limit))
        case Steer(text=text, by=by):
            return TextBlock(text=fill(words.steer, text=text, by=by))
        case NearLimit(limit=limit_name, left=left):
            return TextBlock(text=fill(words.near_limit, limit=limit_name, left=left))
        case Delegated(children=children):
            return TextBlock(text=reported(children, words, reports))
        case Rewound(step=step, reason=reason, by=by):
            return TextBlock(text=fill(words.rewound, step=step, reason=reason, by=by))
        case Continued(step=step, text=text, by=by, attached=name):
            material = attached[name].strip("\n") if name else ""
            return TextBlock(
                text=fill(
                    words.continued,
                    step=step,
                    text=text,
                    by=by,
                    attached=material,
                    fence=_fence(material),
                )
            )
        case ToolDone(call=call):
            output = outputs.get(call, ToolOutput(content=words.lost, ok=False))
            return ToolResultBlock(
                tool_use_id=call,
                content=output.content if output.content.strip() else words.no_output,
                is_error=not output.ok,
            )
        case StepAccepted(call=call, prompt=next_step):
            text = _instruction(next_step, script) if next_step else ""
            return ToolResultBlock(tool_use_id=call, content=fill(words.accepted, prompt=text))
        case StepBlocked():
            return ToolResultBlock(
                tool_use_id=one.call,
                content=fill(
                    words.blocked,
                    step=one.step,
                    problems="\n".join(_problem(blocker, words) for blocker in one.blockers),
                    tries_left=one.tries_left,
                    wanted=_wanted(one.blockers, script),
                ),
                is_error=True,
            )
        case Spawned(call=call, children=children):
            return ToolResultBlock(
                tool_use_id=call,
                content=fill(words.spawned, reports=reported(children, words, reports)),
                is_error=all(child.ending != SessionEnding.COMPLETED for child in children),
            )
        case CallAnswered():
            return ToolResultBlock(
                tool_use_id=one.call,
                content=fill(getattr(words, one.word), text=one.text),
                is_error=one.is_error,
            )


def _instruction(prompt: StepPrompt, script: Script) -> str:
    """A step as it is said: the pass, its text, the fragments that hold, its footer."""
    words = script.words
    named = [f"{prompt.step}/{name}" for name in prompt.fragments]
    parts = [
        script.prompts[prompt.step],
        # A plan may name a fragment with its step or without.
        *(
            script.fragments[key if key in script.fragments else name]
            for key, name in zip(named, prompt.fragments, strict=True)
        ),
        script.footers.get(prompt.step, ""),
    ]
    values = {path: visible(value) for path, value in prompt.values.items()}
    # The banner is added last: what it names is never read as a template.
    shown = [filled(part, values).strip() for part in parts]
    if prompt.in_pass is not None:
        shown.insert(0, visible(_banner(prompt.in_pass, words)).strip())
    return "\n\n".join(part for part in shown if part)


def _fence(material: str) -> str:
    """A fence around a text that no line of the text can end."""
    return "`" * max((len(found) + 1 for found in _BACKTICKS.findall(material)), default=3)


def _banner(now: Pass, words: Words) -> str:
    if now.number == 1:
        return fill(words.first_pass, loop=now.loop, most=now.most, item=now.item)
    return fill(words.later_pass, loop=now.loop, number=now.number, most=now.most, item=now.item)


def _problem(blocker: Blocker, words: Words) -> str:
    return fill(
        words.blocker,
        code=blocker.code.value,
        pointer=f"{blocker.pointer.kind} {blocker.pointer.name}",
        message=blocker.message,
        fix=blocker.fix,
    )


def _wanted(blockers: Sequence[Blocker], script: Script) -> str:
    """Schema and example of every artifact that something is wrong with, each once."""
    kinds = dict.fromkeys(
        "wr.assessment"
        if blocker.pointer.kind == "assessment_dimension"
        else blocker.pointer.name.replace("wr.contracts.", "wr.", 1)
        for blocker in blockers
        if blocker.pointer.kind in ("output_contract", "assessment_dimension")
    )
    return "\n\n".join(
        fill(
            script.words.wanted,
            kind=kind,
            schema=json.dumps(script.contracts[kind]["schema"], indent=1),
            example=json.dumps(script.contracts[kind]["example"], indent=1),
        )
        for kind in kinds
        if kind in script.contracts
    )
