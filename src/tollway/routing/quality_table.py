"""What a model is expected to score at a kind of task: its figure for the category, drawn towards its own mean."""

from tollway.routing.standing import Standing
from tollway.routing.tiers import Category

SHRINK = 0.25
"""A published figure for one category is noisy; so much of its distance from the model's mean is not believed."""
PRIOR = 0.5


def predicted(standing: Standing, category: Category) -> float:
    """Expected quality in [0, 1]; the model's mean where the category has no figure, and `PRIOR` where nothing has."""
    figures = standing.quality
    mean = sum(figures.values()) / len(figures) if figures else PRIOR
    figure = figures.get(category)
    return mean if figure is None else figure + SHRINK * (mean - figure)
