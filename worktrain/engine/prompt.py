"""What the model reads: every word comes from the script, every fact from the session."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from worktrain.contracts.record import ToolOutput
from worktrain.contracts.session import SessionRequest
from worktrain.contracts.spec import Context, Script, Words
from worktrain.contracts.tool import ARGUMENTS
from worktrain.contracts.turn import (
    CallAnswered,
    CutOff,
    Message,
    NearLimit,
    Reminder,
    Say,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    TextBlock,
    ToolDone,
    ToolResultBlock,
    ToolSchema,
)

# `<!-->` and `<!--->` are whole comments; one that is never closed hides the rest.
_HTML_COMMENT = re.compile(r"<!--(?:-?>|.*?(?:-->|\Z))", re.DOTALL)
_KEPT_CONTROLS = frozenset("\n\t")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""What Unicode asks not to show although its category does not say so: fillers and variation
selectors, of which a row can carry any hidden text."""
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Co", "Cs"})


def fill(template: str, **values: object) -> str:
    """Fill the double braces of one of our own templates. Raises for a name that is missing.

    Values are put in as they are and never read as templates themselves.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(template).render(**values)


def cleaned(text: str) -> str:
    """Untrusted text without what a person would not see: HTML comments, invisible characters.

    Comments go first, as a browser reads them: an invisible character inside `-->` does not end
    one. An emoji that is joined of several (ZWJ) falls into its visible parts.
    """
    shown = _HTML_COMMENT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(
        character
        for character in _INVISIBLE.sub("", shown)
        if character in _KEPT_CONTROLS or unicodedata.category(character) not in _NEVER_SHOWN
    )


def context(request: SessionRequest, words: Words, workspace_rules: Mapping[str, str]) -> Context:
    """What this session is told at its start. `workspace_rules`: text by file name."""
    parts = [
        fill(
            words.task,
            title=cleaned(request.task.title),
            body=cleaned(request.task.body).strip() or "(no more than the title)",
            source=cleaned(request.task.source),
        ),
        *(
            fill(words.section, title=section.title, body=section.body)
            for section in request.sections
        ),
    ]
    rules = [fill(words.rules, soul=request.soul)] if request.soul else []
    rules += [
        fill(words.workspace_rules, name=name, text=text) for name, text in workspace_rules.items()
    ]
    return Context(opening="\n\n".join(p.strip() for p in parts), rules="\n\n".join(rules))


def system(script: Script, told: Context) -> tuple[str, ...]:
    """The layers of the system prompt, from most to least stable; empty ones left out."""
    return tuple(layer for layer in (script.words.base, script.system, told.rules) if layer.strip())


def tools(words: Words) -> tuple[ToolSchema, ...]:
    """The tools as they are offered, in a fixed order: they open the cached prefix."""
    return tuple(
        ToolSchema(
            name=name, description=words.tools[name], parameters=arguments.model_json_schema()
        )
        for name, arguments in ARGUMENTS.items()
    )


def said(
    say: Sequence[Say], script: Script, told: Context | None, outputs: Mapping[str, ToolOutput]
) -> Message:
    """The next user message. `told` is given for the first one; `outputs` by call id.

    Tool results stand before text, as the API demands.
    """
    results: list[ToolResultBlock] = []
    texts = [TextBlock(text=told.opening)] if told else []
    for one in say:
        block = _block(one, script, outputs)
        if isinstance(block, ToolResultBlock):
            results.append(block)
        else:
            texts.append(block)
    return Message(role="user", blocks=(*results, *texts))


def _block(
    one: Say, script: Script, outputs: Mapping[str, ToolOutput]
) -> ToolResultBlock | TextBlock:
    words = script.words
    match one:
        case StepPrompt(step=step):
            return TextBlock(text=script.prompts[step])
        case Reminder(step=step):
            return TextBlock(text=fill(words.reminder, step=step))
        case CutOff(max_tokens=limit):
            return TextBlock(text=fill(words.cut_off, max_tokens=limit))
        case Steer(text=text, by=by):
            return TextBlock(text=fill(words.steer, text=text, by=by))
        case NearLimit(limit=limit_name, left=left):
            return TextBlock(text=fill(words.near_limit, limit=limit_name, left=left))
        case ToolDone(call=call):
            output = outputs.get(call, ToolOutput(content=words.lost, ok=False))
            return ToolResultBlock(
                tool_use_id=call,
                content=output.content if output.content.strip() else words.no_output,
                is_error=not output.ok,
            )
        case StepAccepted(call=call, next_step=step_id):
            return ToolResultBlock(
                tool_use_id=call,
                content=fill(words.accepted, prompt=script.prompts[step_id] if step_id else ""),
            )
        case StepBlocked():
            return ToolResultBlock(
                tool_use_id=one.call,
                content=fill(
                    words.blocked,
                    step=one.step,
                    problems="\n".join(f"- {problem}" for problem in one.problems),
                    tries_left=one.tries_left,
                ),
                is_error=True,
            )
        case CallAnswered():
            return ToolResultBlock(
                tool_use_id=one.call,
                content=fill(getattr(words, one.word), text=one.text),
                is_error=one.is_error,
            )
