"""Questions to people: what is asked, until when, and what an answer means."""

from collections.abc import Mapping

from worktrain.contracts.pipeline import OpenGate, PipelineState

PATIENCE: Mapping[str, float] = {"Low": 1.0, "Medium": 1.0, "High": 1 / 2, "Critical": 1 / 3}
"""Of the workspace's answer_hours, by the task's risk. At the deadline the work ends unanswered:
whatever the risk, silence is never a yes."""

APPROVING: Mapping[str, str] = {
    "intent": "Approve if that is meant; the reason you give is told to everybody who works on it. "
    "Reject to end here.",
    "task-edited": "Approve to go on with the task as it was accepted. Reject to end here; run it "
    "again for the new text.",
    "foreign-commits": "Approve to take them in: the whole is then verified and reviewed again. "
    "Reject to end here; the branch is left as it is.",
    "checks": "Approve to run the checks again, reject to end here.",
    "findings": "Approve to go on in spite of them, saying why. Reject to end here.",
    "rules": "Approve to accept exactly these, saying why. Reject to end here.",
    "criteria": "Approve to waive exactly these, saying why. Reject to end here.",
    "put-off": "Approve to accept exactly these, saying why. Reject to end here.",
    "scope": "Approve to accept exactly these files, saying why. Reject to end here.",
    "audit": "Approve to go on in spite of it, saying why. Reject to end here.",
    "conflict": "Bring it there by hand, with git cherry-pick for example, commit, and approve; or "
    "reject to end here: the branch is kept.",
    "merge": "Approve to merge exactly this tree, reject to end here.",
}
"""What is said below a question."""

WITH_A_REASON = frozenset({"findings", "rules", "criteria", "put-off", "scope", "audit"})
"""Gates whose approval waives something."""


def asked(state: PipelineState, gate: str, text: str, about: tuple[str, ...] = ()) -> OpenGate:
    """A question to a person, with its deadline."""
    risk = state.classified.risk if state.classified else "Medium"
    return OpenGate(
        gate=gate,
        text=f"{text}\n{APPROVING[gate]}",
        deadline_s=state.opened.config.answer_hours * PATIENCE[risk] * 3600,
        reason_wanted=gate in WITH_A_REASON,
        about=about,
    )
