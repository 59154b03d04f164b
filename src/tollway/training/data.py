"""The data files: where they are, what they hold, and their hashes. Outcomes are numbers; no answers of models are here."""

import hashlib
import pathlib
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec

from tollway.errors import ConfigurationError

PLACE = "TOLLWAY_ROUTING_DATA"
"""Environment variable that names the folder."""
T = TypeVar("T", bound=msgspec.Struct)


class Pair(msgspec.Struct, frozen=True):
    """Whether a weak and a strong model answered a prompt correctly (0 or 1)."""

    prompt: str
    weak_correct: float
    strong_correct: float
    subject: str = ""


class Steps(msgspec.Struct, frozen=True):
    """A school problem and how many calculations its reference solution has."""

    prompt: str
    n_steps: int


class Scores(msgspec.Struct, frozen=True):
    """How well each of many models did a prompt, in [0, 1]."""

    prompt: str
    task: str
    scores: dict[str, float]


class Tiered(msgspec.Struct, frozen=True):
    """A prompt with the difficulty that people gave it."""

    prompt: str
    expected_tier: str
    category: str
    lang: str = "en"


class Price(msgspec.Struct, frozen=True):
    """USD per million tokens."""

    input_price_per_m: float
    output_price_per_m: float


MMLU_TRAIN, MMLU_EVAL = "routellm_mmlu_train1500.jsonl", "routellm_mmlu_val1500.jsonl"
STEPS_TRAIN, GSM8K_EVAL = "gsm8k_train_steps.jsonl", "routellm_gsm8k_val307.jsonl"
TIERS_TRAIN, TIERS_EVAL = "uncommonroute_tier_train.jsonl", "uncommonroute_tier_dev.jsonl"
MANY_TRAIN, MANY_MODELS = "ulab_llmrouter_train.jsonl", "ulab_llmrouter_models.json"
TRAINED_ON = (STEPS_TRAIN, TIERS_TRAIN, MANY_TRAIN, MMLU_TRAIN)
"""What the packaged classifier is made of; none of it is an evaluation split."""
ALL = (MMLU_TRAIN, MMLU_EVAL, STEPS_TRAIN, GSM8K_EVAL, TIERS_TRAIN, TIERS_EVAL, MANY_TRAIN, MANY_MODELS)

Rows: TypeAlias = tuple[T, ...]


class Folder:
    """The folder of the data files."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def require(self, names: Sequence[str]) -> None:
        """Raises `ConfigurationError` that names what is missing."""
        missing = [name for name in names if not (self.path / name).is_file()]
        if missing:
            raise ConfigurationError(
                file=str(self.path),
                line=None,
                key="routing data",
                problem=f"there is no {', '.join(missing)}",
                fix=f"name the folder that has it with --data or {PLACE}",
            )

    def rows(self, name: str, kind: type[T]) -> Rows[T]:
        """The lines of a file, in order."""
        self.require([name])
        return tuple(
            msgspec.json.decode(line, type=kind) for line in (self.path / name).read_bytes().splitlines() if line
        )

    def prices(self) -> dict[str, float]:
        """Model -> USD per million tokens; input and output cost the same in this file."""
        found = msgspec.json.decode((self.path / MANY_MODELS).read_bytes(), type=dict[str, Price])
        return {model: (price.input_price_per_m + price.output_price_per_m) / 2 for model, price in found.items()}

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""
        return hashlib.sha256((self.path / name).read_bytes()).hexdigest()
