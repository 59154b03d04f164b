"""The choice of a model as a receipt tells it in a terminal."""

from tollway.commands.routing_told import routing_told

TOLD = {
    "steps": ["Read: 8 input tokens.", "Classify: proof, standard."],
    "features": [["asks for a proof", 5.3], ["its length", -0.4]],
    "considered": [{"place": 1, "model": "acme/gpt", "offer": "acme/acme/gpt", "quality": 0.861, "cost_usd": "0.0021"}],
    "considered_count": 14,
    "excluded": [{"model": "acme/tiny", "reason": "it cannot read images"}],
    "excluded_count": 3,
    "alternatives": [{"tier": "complex", "model": "acme/opus", "cost_usd": "0.025"}],
    "baseline_model": "acme/opus",
    "savings_pct": "-4.3",
}


CHOICE = """Choice
Read: 8 input tokens.
Classify: proof, standard.
What mattered: asks for a proof (+5.30), its length (-0.40).
Against acme/opus named directly: -4.3 % saved.
One tier away, complex: acme/opus, expected 0.025 USD."""
WEIGHED = """Weighed
#  model     quality  expected USD, before margin
1  acme/gpt     0.86                       0.0021
and 13 more"""
OUT = """Ruled out
acme/tiny: it cannot read images
and 2 more"""


def test_a_choice_is_told_in_three_parts() -> None:
    assert list(routing_told(TOLD)) == [CHOICE, WEIGHED, OUT]


def test_a_named_model_has_no_choice_to_tell() -> None:
    assert list(routing_told({"method": "direct", "steps": []})) == []
