"""A filled artifact of each of our kinds, as a model is shown it."""

from collections.abc import Mapping

from worktrain.contracts.base import JsonObject

EXAMPLES: Mapping[str, JsonObject] = {
    "wr.discovery_handoff": {
        "kind": "wr.discovery_handoff",
        "selectedDirection": "Normalise the address once, at the edge, before it is compared.",
        "confidenceBand": "high",
        "keyInvariants": ["An address is stored as the user typed it."],
        "rejectedDirections": [
            {"direction": "Compare case-insensitively everywhere", "reason": "Eleven places."}
        ],
        "implementationConstraints": ["No new dependency."],
        "keyCodebaseLocations": [{"path": "app/login.py", "relevance": "The comparison."}],
        "selectionTier": "strong_recommendation",
    },
    "wr.shaping_handoff": {
        "kind": "wr.shaping_handoff",
        "selectedShape": "One function `normalise(address)` called by login and sign-up.",
        "appetite": "small: one file and its test",
        "keyConstraints": ["Stored addresses do not change."],
        "rabbitHoles": ["Unicode addresses: out of reach of this task."],
        "outOfScope": ["Merging existing duplicate accounts."],
        "validationChecklist": ["The login tests pass."],
        "acceptanceCriteria": [
            {"id": "AC1", "statement": "Login with an upper-case address finds the account."},
            {"id": "AC2", "statement": "A wrong address is still refused."},
            {"id": "AC3", "statement": "Sign-up with an address in another case is refused."},
        ],
        "filesInScope": ["app/*.py", "tests/test_login.py", "tests/test_signup.py"],
        "slices": [
            {
                "id": "S1",
                "title": "Login finds the account",
                "goal": "`normalise` exists, and login looks the account up by it.",
                "files": ["app/address.py", "app/login.py", "tests/test_login.py"],
                "check": "tests/test_login.py passes with an upper-case address.",
                "criteria": ["AC1", "AC2"],
            },
            {
                "id": "S2",
                "title": "Sign-up refuses the second spelling",
                "goal": "Sign-up calls `normalise` before it looks for an account.",
                "files": ["app/signup.py", "tests/test_signup.py"],
                "check": "tests/test_signup.py passes with a known address in capitals.",
                "dependsOn": ["S1"],
                "criteria": ["AC3"],
            },
        ],
    },
    "wr.coding_handoff": {
        "kind": "wr.coding_handoff",
        "commitSubject": "Find accounts whatever the case of the address",
        "keyDecisions": ["Normalised at the edge, so that storage stays as it is."],
        "testsAdded": ["tests/test_login.py::test_upper_case_address"],
        "filesChanged": ["app/login.py", "tests/test_login.py"],
        "criteria": [
            {
                "criterion": "AC1",
                "evidence": "The account is found by the normalised address; seen failing before.",
                "code": ["app/login.py"],
                "tests": ["tests/test_login.py::test_upper_case_address"],
            },
            {
                "criterion": "AC2",
                "evidence": "No account is found for another address.",
                "code": ["app/login.py"],
                "tests": ["tests/test_login.py::test_wrong_address"],
            },
        ],
        "dispositions": [
            {
                "finding": "F1",
                "outcome": "fixed_now",
                "evidence": "app/login.py:12 strips the ends only; test_inner_space fails without.",
            }
        ],
    },
    "wr.review_verdict": {
        "kind": "wr.review_verdict",
        "verdict": "minor",
        "confidence": "high",
        "findings": [
            {
                "severity": "minor",
                "summary": "normalise() strips inner spaces too.",
                "findingCategory": "correctness",
                "file": "app/login.py",
                "startLine": 12,
                "endLine": 12,
                "causalLink": "replace(' ', '') removes every space, strip() was meant.",
                "remediation": "Use strip().",
                "known": "F2",
            }
        ],
        "summary": "The change does what was asked; one edge case is wrong.",
        "criteria": [
            {"criterion": "AC1", "met": "yes", "evidence": "test_upper_case_address, run here."},
            {"criterion": "AC2", "met": "unsure", "evidence": "No test enters a wrong address."},
        ],
        "acceptedFiles": ["app/address.py"],
    },
    "wr.differentiation_handoff": {
        "kind": "wr.differentiation_handoff",
        "generatedAt": "2026-03-02T09:30:00Z",
        "evidenceFreshness": {
            "oldestCapturedAt": "2026-01-12T08:00:00Z",
            "newestCapturedAt": "2026-02-27T16:45:00Z",
        },
        "validationChecklist": ["Three customers of the pilot would pay for it."],
        "shapingHandoff": {
            "rawIdea": "Sign in with a link that is sent by mail, without a password.",
            "problem": "A third of all support requests are forgotten passwords.",
            "baseline": "Today a reset takes four steps and eleven minutes.",
            "appetiteHint": "small_batch",
            "noGosHints": ["No second identity provider."],
            "constraints": {
                "teamSize": 2,
                "technicalCapabilities": ["Mail is sent already."],
                "exclusions": ["Mobile apps."],
            },
            "evidenceTopK": ["123e4567-e89b-42d3-a456-426614174000"],
            "defensibilityClaim": {
                "power": "switching_costs",
                "cannibalization": "Fewer people keep the paid password manager add-on.",
            },
        },
    },
    "wr.assessment": {
        "kind": "wr.assessment",
        "assessmentId": "plan-readiness",
        "dimensions": {
            "scope": "Clear",
            "risk": {"level": "Medium", "rationale": "Sign-up shares the comparison."},
        },
        "summary": "Ready to build; sign-up has to be tested as well.",
    },
    "wr.loop_control": {
        "kind": "wr.loop_control",
        "decision": "stop",
        "metadata": {"reason": "The last pass found nothing that is not settled."},
    },
    "wr.coordinator_signal": {
        "kind": "wr.coordinator_signal",
        "signalKind": "finding",
        "payload": {"summary": "Sign-up compares addresses too, in app/signup.py."},
    },
    "wr.gate_verdict": {
        "kind": "wr.gate_verdict",
        "verdict": "approved",
        "confidence": "high",
        "rationale": "All five criteria have a test that fails without the change.",
    },
    "wr.coordinator_result": {
        "kind": "wr.coordinator_result",
        "outcome": "success",
        "summary": "Three pull requests were reviewed and merged.",
        "sessionId": "task/shop/17/coding-1",
        "error": None,
    },
    "wr.classification": {
        "kind": "wr.classification",
        "taskComplexity": "Small",
        "riskLevel": "Medium",
        "hasUI": False,
        "touchesArchitecture": False,
        "taskType": "bug-fix",
        "affectedDomains": ["login", "sign-up"],
        "recommendedPipeline": ["coding", "review"],
        "rationale": "One comparison in one file; but everyone passes through it.",
        "maturity": "shaped",
        "interpretation": "Login accepts a registered address in any case; stored ones stay.",
        "interpretationConfidence": "low",
        "openQuestions": ["Shall sign-up refuse an address that differs only in its case?"],
    },
    "wr.investigation": {
        "kind": "wr.investigation",
        "summary": "Login fails for addresses that were registered with capitals.",
        "rootCause": "app/login.py:12 compares the typed address with the stored one as it is.",
        "confidence": "high",
        "severity": "major",
        "evidence": ["With A@example.org stored, a@example.org gets 401 from POST /login."],
        "hypotheses": [
            {
                "claim": "The comparison minds the case.",
                "status": "confirmed",
                "evidence": "Lowering both sides in a debugger makes the login succeed.",
            },
            {
                "claim": "The session cookie is lost.",
                "status": "refuted",
                "evidence": "The answer is 401 before any cookie is read.",
            },
        ],
        "reproduction": "Register A@example.org, then log in as a@example.org.",
        "recommendedFix": "Normalise the typed address before the comparison.",
        "regressionTest": "tests/test_login.py: log in with another case than registered.",
    },
    "wr.audit_report": {
        "kind": "wr.audit_report",
        "audit": "security",
        "verdict": "ready_with_conditions",
        "confidence": "medium",
        "findings": [
            {
                "severity": "major",
                "summary": "Reset links do not expire.",
                "findingCategory": "security",
                "file": "app/reset.py",
                "startLine": 40,
                "endLine": 52,
                "causalLink": "The token has no time, so an old mail opens the account.",
                "remediation": "Sign the time into the token and refuse it after an hour.",
            }
        ],
        "scope": "Login, sign-up and password reset: app/login.py, app/signup.py, app/reset.py.",
        "notExamined": ["The admin area.", "The mail provider's configuration."],
        "summary": "Sound but for reset links, which have to expire before the release.",
    },
    "wr.research_report": {
        "kind": "wr.research_report",
        "question": "May the part of a mail address before the @ be compared without its case?",
        "answer": "Formally not, in practice yes: no large provider tells them apart.",
        "confidence": "medium",
        "sources": [
            {"source": "RFC 5321, section 2.4", "says": "The local part minds the case."},
            {"source": "app/mailer.py:31", "says": "Bounces are matched in lower case already."},
        ],
        "gaps": ["Self-hosted mail servers were not examined."],
        "summary": "Comparing in lower case is safe enough; keep what the user typed.",
    },
    "wr.design": {
        "kind": "wr.design",
        "title": "One place that knows what an address is",
        "approach": "A value `Address` that keeps what was typed and compares its lower case.",
        "alternatives": [
            {"option": "Lower all stored addresses", "reason": "Mails would show them changed."}
        ],
        "interfaces": ["Address(text) raises ValueError; == compares normalised."],
        "risks": ["Reports that join on the raw column."],
        "openQuestions": ["Do partners rely on the case in exports?"],
        "summary": "A small value type replaces eleven comparisons of texts.",
    },
    "wr.triage": {
        "kind": "wr.triage",
        "subject": "issue",
        "assessment": "real",
        "severity": "major",
        "labels": ["bug", "login"],
        "size": "Small",
        "summary": "Users who registered with capitals cannot log in with small letters.",
        "nextStep": "Start a bug fix; the cause is in app/login.py.",
        "evidence": ["Reproduced on main with A@example.org."],
    },
    "wr.digest": {
        "kind": "wr.digest",
        "title": "Standup of the shop team",
        "period": "2026-03-02",
        "done": ["Login finds accounts whatever the case of the address (#17)."],
        "inProgress": ["Reset links expire (#21): in review."],
        "blocked": ["Export for partners (#19): waits for their answer."],
        "next": ["Merge duplicate accounts (#23)."],
        "learned": ["A test for each spelling would have shown it in January."],
    },
    "wr.retrospective": {
        "kind": "wr.retrospective",
        "summary": "Login was to accept any case. Merged after one fix: sign-up had been missed.",
        "lessons": ["Addresses are compared in app/signup.py too: change both, or neither."],
        "rootCause": "No test signs up with a known address in capitals, so nothing failed.",
    },
    "wr.spec_draft": {
        "kind": "wr.spec_draft",
        "specPath": ".worktrain/specs/release-notes.yaml",
        "checked": True,
        "summary": "Three steps: gather merged changes, group them, write the notes.",
        "examples": ["Write the release notes for version 2.4"],
    },
}
"""A filled artifact of each kind, as a model is shown it."""
