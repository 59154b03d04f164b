"""The names nearest to one that does not exist, so that a 400 says what was probably meant.

Comparing with two thousand names takes 10 to 70 ms, which a stranger could use to stop the server. So the names are
indexed by their groups of three letters once per catalogue, and only the dozen that share most of them are compared.
"""

from collections import Counter
from collections.abc import Mapping

from tollway.catalogue.offers import Catalogue, Model, ModelId

_COMPARED = 12
_LENGTH_MAX = 80
_LIKENESS_MIN = 0.5


class _Index:
    """Group of three letters -> the ids that have it."""

    __slots__ = ("groups", "models")

    def __init__(self, models: Mapping[ModelId, Model]) -> None:
        self.models = models
        self.groups = dict[str, list[str]]()
        for name in models:
            for group in _groups(name):
                self.groups.setdefault(group, []).append(name)


_latest: list[_Index] = []


def nearest(catalogue: Catalogue, name: str, most: int = 3) -> list[str]:
    """At most `most` model ids like `name`, possibly none: those that can be called first, then the likeliest."""
    # Imported at the first mistake: a server whose callers make none does not need it.
    from difflib import SequenceMatcher  # noqa: PLC0415

    if not _latest or _latest[0].models is not catalogue.models:
        _latest[:] = [_Index(catalogue.models)]
    index, asked = _latest[0], name[:_LENGTH_MAX].lower()
    shared = Counter[str]()
    for group in _groups(asked):
        shared.update(index.groups.get(group, ()))
    found = list[tuple[float, str]]()
    for other, groups in shared.most_common(_COMPARED * 4):
        found.append((groups / (len(other) + len(asked)), other))
    found.sort(key=lambda one: (-one[0], one[1]))
    matcher = SequenceMatcher(b=asked)
    likely = list[tuple[float, str]]()
    for _, other in found[:_COMPARED]:
        matcher.set_seq1(other.lower()[:_LENGTH_MAX])
        # A bare name is as good as one with its maker before it.
        likeness = matcher.ratio()
        if "/" not in asked and "/" in other:
            matcher.set_seq1(other.lower().rpartition("/")[2][:_LENGTH_MAX])
            likeness = max(likeness, matcher.ratio())
        if likeness >= _LIKENESS_MIN:
            likely.append((likeness, other))
    likely.sort(key=lambda one: (-one[0], one[1]))
    names = [other for _, other in likely]
    return sorted(names, key=lambda other: not _is_usable(catalogue.find(other)))[:most]


def _is_usable(model: Model | None) -> bool:
    return model is not None and any(offer.provider.is_usable for offer in model.offers)


def _groups(name: str) -> set[str]:
    name = f" {name.lower()} "
    return {name[start : start + 3] for start in range(len(name) - 2)}
