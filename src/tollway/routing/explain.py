"""A decision in plain sentences, as a colleague would give them: what it is, whom to ask and why, what it costs, what else.

Sentences first; whoever shows a table puts it after them. Costs are expected ones with margin, rounded for reading.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tollway.money.rounding import half_even
from tollway.routing.decide import UNSURE_BELOW
from tollway.routing.decision import Decision
from tollway.routing.policy import Candidate, Exclusion
from tollway.routing.savings import percent
from tollway.routing.tiers import RANK
from tollway.routing.verdict import Verdict

CLEAR_FROM = 0.75
_BPS = 10_000
_FEATURES_SHOWN = 3
_SHOWN_FROM = 0.15
_REASONS_SHOWN = 4
_KINDS = {
    "coding": "a coding task", "debugging": "a debugging task", "math": "a mathematics problem", "proof": "a proof",
    "reasoning": "a question to reason about", "science": "a science question", "writing": "a piece of writing",
    "longform": "a long document to write", "summarizing": "a summary", "extraction": "an extraction",
    "translation": "a translation", "chat": "small talk", "factual": "a factual question", "planning": "a plan or design",
    "research": "a piece of research", "vision": "a task with images", "multilingual": "a question in another script",
    "tool_use": "work with tools", "instruction_following": "a task with instructions to follow",
}  # fmt: skip


def sentences(decision: Decision) -> list[str]:
    """The reasoning behind a decision, one thought each."""
    told = [*_task(decision), *_choice(decision), *_exclusions(decision.exclusions), *_otherwise(decision)]
    return [one for one in told if one]


def cost_nano(decision: Decision, candidate: Candidate) -> int | None:
    """What a request is expected to be charged at a candidate, nano-USD; None where no task was read."""
    pico = decision.expected_pico(candidate)
    return None if pico is None else half_even(pico * (_BPS + decision.margin_bps), _BPS * 1_000)


def about_usd(nano: int) -> str:
    """An amount for reading: two significant digits at least, `$0.00011`, `$0.025`, `$12.30`."""
    if nano <= 0:
        return "nothing"
    digits = len(str(nano))
    # Nano-USD have nine places; two digits that matter, and never finer than what there is.
    places = min(max(9 - digits + 2, 2), 9)
    rounded = half_even(nano, 10 ** (9 - places))
    whole, rest = divmod(rounded, 10**places)
    text = f"{whole}.{rest:0{places}d}"
    return f"${text.rstrip('0').ljust(text.index('.') + 3, '0')}"


def _task(decision: Decision) -> Iterable[str]:
    verdict, task = decision.verdict, decision.task
    if verdict is None or task is None:
        if decision.steps:
            yield "You named the model, so nothing was classified."
        return
    if verdict.method == "tier":
        yield f"You asked for the tier {decision.tier}. Who is good at it depends on the task: {_KINDS[verdict.category]}."
    else:
        yield f"This looks like {_KINDS[verdict.category]} of {verdict.tier} difficulty; {_sureness(verdict)}."
    up = [f"{words} ({weight:+.2f})" for words, weight in verdict.features if weight >= _SHOWN_FROM][:_FEATURES_SHOWN]
    down = [f"{words} ({weight:+.2f})" for words, weight in verdict.features if weight <= -_SHOWN_FROM][
        :_FEATURES_SHOWN
    ]
    if up or down:
        pushed = f"What makes it harder: {', '.join(up)}." if up else "Nothing makes it harder."
        yield f"{pushed} What makes it easier: {', '.join(down)}." if down else pushed
    if decision.tier and decision.tier != verdict.tier:
        yield _moved(decision, verdict)


def _sureness(verdict: Verdict) -> str:
    shown = f"{verdict.confidence:.2f}"
    if verdict.confidence >= CLEAR_FROM:
        return f"that is clear ({shown})"
    if verdict.confidence >= UNSURE_BELOW:
        return f"I am fairly sure ({shown})"
    return f"I am not sure ({shown}), and rather too good a model than too weak an answer"


def _moved(decision: Decision, verdict: Verdict) -> str:
    # The step of classification has the reasons in their order.
    reasons = decision.steps[1].rstrip(".").split("; ")[1:] if len(decision.steps) > 1 else []
    where = "up" if decision.tier and RANK[decision.tier] > RANK[verdict.tier] else "down"
    return f"So it moves {where} from {verdict.tier} to {decision.tier}: {'; '.join(reasons)}."


def _choice(decision: Decision) -> Iterable[str]:
    first = decision.candidates[0]
    cost, name = cost_nano(decision, first), first.offer.provider.name
    of = next((one for one in decision.ranked if one.model == first.offer.model), None)
    who = f"I would ask {first.offer.model} at {name}"
    if of is not None and decision.verdict is not None:
        kind = decision.verdict.category.replace("_", " ")
        best = " and is what this tier is measured by" if decision.reference == first.offer.model else ""
        who += f": it scores {of.quality:.2f} at {kind}{best}"
    if cost is not None:
        who += f"{',' if of else ':'} and this request should cost about {about_usd(cost)}{_saved(decision)}"
    yield f"{who}."
    rest = list(dict.fromkeys(one.offer.model for one in decision.candidates if one.offer.model != first.offer.model))
    also = [one.offer.provider.name for one in decision.candidates[1:] if one.offer.model == first.offer.model]
    if also:
        yield f"The same model is also at {_and(list(dict.fromkeys(also)))}, tried next."
    if rest:
        net = f"; {rest[-1]} is the safety net" if len(rest) > 1 and rest[-1] == decision.reference else ""
        yield f"If it fails, {_then(rest)} follow{'s' if len(rest) == 1 else ''}{net}."
    elif not also:
        yield "Nothing follows if it fails."


def _saved(decision: Decision) -> str:
    saved = percent(decision.expected_saving())
    if saved is None or decision.baseline_model is None:
        return ""
    if saved.startswith("-"):
        return f", {saved[1:]} % more than {decision.baseline_model} named directly"
    return f", {saved} % less than {decision.baseline_model}"


def _exclusions(exclusions: Sequence[Exclusion]) -> Iterable[str]:
    if not exclusions:
        return
    counts = Counter(one.reason for one in exclusions)
    shown = counts.most_common(_REASONS_SHOWN)
    names = {reason: [one.name for one in exclusions if one.reason == reason] for reason, _ in shown}
    told = [f"{names[reason][0]}{f' and {count - 1} more' if count > 1 else ''} ({reason})" for reason, count in shown]
    left = len(exclusions) - sum(count for _, count in shown)
    yield f"Ruled out: {', '.join(told)}{f', and {left} for other reasons' if left else ''}."


def _otherwise(decision: Decision) -> Iterable[str]:
    told = [
        f"one tier {one.direction} ({one.tier}), {one.model} would cost about {about_usd(one.cost_nano)} with quality "
        f"{one.quality:.2f}"
        for one in decision.counterfactuals
    ]
    if told:
        text = "; ".join(told)
        yield f"{text[0].upper()}{text[1:]}."


def _then(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, then {names[-1]}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
