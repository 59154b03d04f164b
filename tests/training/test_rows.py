"""Rows of the benchmark on real data: what is cheap to work out is held to what the page in the docs says."""

import pathlib
import re

import pytest

np = pytest.importorskip("numpy")
from tollway.training.latency import time_of  # noqa: E402
from tollway.training.metrics import gap_recovered  # noqa: E402
from tollway.training.pairs import opening, unit  # noqa: E402
from tollway.training.report import Report, judged, markdown, shown  # noqa: E402
from tollway.training.rows import Bench, Goal, Line, Row  # noqa: E402

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "routing-benchmark.md"


@pytest.mark.parametrize("name", ["mmlu_with_labels", "mmlu_without_labels", "gsm8k"])
def test_pairs_are_as_the_page_says(data, name):
    row = getattr(Bench(data, rounds=10), name)()
    ours, length = row.lines[0], next(line for line in row.lines if line.name == "length alone")
    assert ours.measures["APGR"][0] > length.measures["APGR"][0]
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index(f"## {row.title}") :]
    line = next(line for line in section.splitlines() if line.startswith(f"| {ours.name} "))
    assert float(re.findall(r"\d\.\d+", line)[0]) == pytest.approx(ours.measures["APGR"][0], abs=0.002)


def test_the_goals_that_the_page_claims_are_reached(data):
    row = Bench(data, rounds=10).mmlu_with_labels()
    assert all(goal.is_reached(row.lines[0].measures[name][0]) for name, goal in row.goals.items())


def test_a_score_of_noise_recovers_half():
    chance = np.random.default_rng(3)
    weak = (chance.random(4_000) < 0.6).astype(float)
    assert gap_recovered(chance.random(4_000), weak, np.ones(4_000))["apgr"] == pytest.approx(0.5, abs=0.03)


def test_the_report_names_what_is_not_reached():
    line = Line("ours", {"APGR": (0.57, 0.5, 0.6)}, is_router=True)
    row = Row("A row", 7, {"APGR": Goal(0.62)}, [line, Line("length alone", {"APGR": (0.5, 0.4, 0.6)})])
    report = Report([row], [], [], 12.0, 1_000, 10)
    assert [(title, str(goal)) for title, _, goal, _, _ in judged(report)] == [("A row", ">= 0.62")]
    text = markdown(report, "tollway bench routing")
    assert "| A row | APGR | >= 0.62 | 0.570 [0.500, 0.600] | 0.500 [0.400, 0.600] | **no** |" in text
    assert shown((27.68, 22.99, 35.2)) == "27.7 [23.0, 35.2]"


def test_prompts_are_compared_by_their_first_letters():
    assert opening("Hello,  World! 1") == opening("hello world1")
    assert unit(np.array([1.0, 3.0]), np.array([2.0])).tolist() == pytest.approx([0.0])


def test_timing():
    class Instant:
        def classify(self, task):
            assert len(task.text) <= 2_001

    found = time_of(Instant(), ["some words"], 3_000, rounds=20)
    assert 0 <= found.p50 <= found.p99
