"""One verdict out of several readers, and what is said when they differ.

The lead reader is the first of the list: the expert ensembles where installed, else the reader that ships with
dopascope, and with `--model none` the binding-ratio rule.
Its answer stands unless another reader says the opposite, which makes the verdict uncertain. A reader that
is itself uncertain does not overrule a decided one, but the disagreement is named. An unusual passport or a
registration that was not accepted makes every verdict uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

from dopascope.reading.schema import PassportPart, ReaderResult, Verdict

OPPOSITE = {"normal": "reduced", "reduced": "normal"}


def combine(
    readers: Sequence[ReaderResult], passport: PassportPart, registration_accepted: bool
) -> tuple[Verdict, list[str], str | None]:
    """The verdict, its reasons in plain words, and the disagreement or None."""
    if passport.verdict == "refused":
        return "refused", list(passport.reasons), None
    answered = [one for one in readers if one.verdict in ("normal", "reduced", "uncertain")]
    if not answered:
        return "uncertain", [one.reason or f"{one.id} gave no answer" for one in readers], None
    lead = answered[0]
    verdict: Verdict = lead.verdict
    reasons = [_said(lead)]
    opposing = [one for one in answered[1:] if one.verdict == OPPOSITE.get(lead.verdict)]
    if opposing:
        verdict = "uncertain"
        reasons.append("Another reader says the opposite, so the verdict is uncertain.")
    if not registration_accepted:
        verdict = "uncertain"
        reasons.append("The registration was not accepted, so no answer is certain.")
    if passport.verdict == "unusual":
        verdict = "uncertain"
        reasons.append("The passport calls this scan unusual, so no answer is certain: " + "; ".join(passport.reasons))
    return verdict, reasons, disagreement(answered)


def _said(lead: ReaderResult) -> str:
    """The lead reader's verdict; where it is uncertain, with what it saw."""
    why = ": " + "; ".join(f"{name} {vote}" for name, vote in lead.votes.items()) if lead.verdict == "uncertain" else ""
    return f"{lead.title} says {lead.verdict}{why}."


def disagreement(answered: Sequence[ReaderResult]) -> str | None:
    """Who says what, when not all say the same; None when they agree."""
    said = {one.verdict for one in answered}
    if len(said) < 2:
        return None
    return "; ".join(f"{one.id} says {one.verdict}" for one in answered)
