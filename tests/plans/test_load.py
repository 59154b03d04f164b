"""A file of plans: what is right is read, what is wrong is told with file, line, key and fix."""

import pytest

from plans.files import LARGE, SMALL, TWO, catalogue_text, plan_text
from tollway.errors import ConfigurationError
from tollway.plans.load import load_plans, mistakes, read_plans


def told(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        read_plans(text, "my.toml")
    assert raised.value.file == "my.toml"
    return raised.value


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if line.startswith(words))


def test_a_good_file() -> None:
    found = read_plans(TWO, "my.toml")
    assert (found.name, found.file, found.default_plan.id, found.highest.id) == ("mine", "my.toml", "small", "large")
    assert found.plan("large").month_cents == 1_000
    assert found.plan("small").limits["api_keys"] == 2
    assert found.plan("large").features["sso"] is True


def test_a_limit_that_the_code_does_not_know_is_kept() -> None:
    small = plan_text("small", {"images_per_day": 5}, {"white_glove": True})
    found = read_plans(catalogue_text(small), "my.toml")
    assert found.plan("small").limits["images_per_day"] == 5
    assert found.plan("small").features["white_glove"] is True


@pytest.mark.parametrize(
    ("old", "new", "at", "key", "problem", "fix"),
    [
        ("api_keys = 2", "api_key = 2", "api_key =", "plans.0.limits.api_key", "no such limit", "did you mean `api_keys`?"),
        ("tokens_per_day = 1000", "token_per_day = 1", "token_", "plans.0.limits.token_per_day", "no such", "`tokens_per_day`"),
        ("sso = false", "ssso = false", "ssso", "plans.0.features.ssso", "no such feature", "did you mean `sso`?"),
        ("members = -1\n", "", "[plans.limits]", "plans.0.limits", "the limit `members` is missing", "add `members = -1`"),
        ("eu_mode = false\n", "", "[plans.features]", "plans.0.features", "`eu_mode` is missing", "add `eu_mode = false`"),
        ("api_keys = 2", "api_keys = -2", "api_keys", "plans.0.limits.api_keys", "-2 is not -1 for no limit", "write api_keys = 0"),
        ("api_keys = 2", "api_keys = true", "api_keys", "plans.0.limits.api_keys", "true is not -1 for no limit", "write api_keys"),
        ("api_keys = 2", "api_keys = 2.5", "api_keys", "plans.0.limits.api_keys", "2.5 is not -1", "write api_keys"),
        ("api_keys = 2", 'api_keys = "2"', "api_keys", "plans.0.limits.api_keys", '"2" is not -1', "write api_keys"),
        ("sso = false", "sso = 0", "sso", "plans.0.features.sso", "0 is not true or false", "write sso = true or false"),
        ('id = "small"', 'id = "Small"', "id =", "plans.0.id", "'Small' is not of a-z", 'write an id such as "pro"'),
        ('id = "small"\n', "", "[[plans]]", "plans.0", "`id` is missing", 'add `id = "..."`'),
        ('id = "small"', "id = 5", "id = 5", "plans.0.id", "5 is not text in quotes", 'write id = "5"'),
        ('name = "Small"', 'name = " "', "name =", "plans.0.name", "it is empty", 'write name = "Small"'),
        ("month_cents = 0,", "", "prices", "plans.0.prices", "`month_cents` is missing", "sold by talking"),
        ("month_cents = 0,", "month_cent = 0,", "prices", "plans.0.prices.month_cent", "no such setting", "did you mean `month_cents`?"),
        ("year_cents = 0", "year_cents = 1", "prices", "plans.0.prices.year_cents", "dearer than twelve months", "write 0 or less"),
        ("month_cents = 0", "month_cents = 29.00", "prices", "plans.0.prices.month_cents", "29.00 is not a whole number of US cents", "write month_cents"),
        ('catalogue = "mine"\n', "", None, "catalogue", "`catalogue` is missing", 'add `catalogue = "my-plans"`'),
        ('catalogue = "mine"', 'catalogue = "My plans"', "catalogue", "catalogue", "is not of a-z", "write"),
        ('catalogue = "mine"', 'catalogue = "mine"\ndefault_plan = "smal"', "default_plan", "default_plan", 'no plan "smal"', "did you mean `small`?"),
        ('catalogue = "mine"', 'catalogue = "mine"\nplan = 1', "plan =", "plan", "no such setting", "did you mean `plans`?"),
    ],
)  # fmt: skip
def test_a_mistake(old, new, at, key, problem, fix) -> None:
    text = TWO.replace(old, new, 1)
    assert text != TWO
    error = told(text)
    assert (error.key, error.line) == (key, None if at is None else line_of(text, at))
    assert problem in error.problem
    assert fix in error.fix


@pytest.mark.parametrize(
    ("plan", "key", "problem"),
    [
        ("trial_days = 400", "plans.0.trial_days", "400 is not a whole number of days from 0 to 366"),
        ("allowed_models = []", "plans.0.allowed_models", "neither all nor a list of models"),
        ('allowed_models = "some"', "plans.0.allowed_models", '"some" is neither all'),
        ("margins_bps = {direct = 5.5}", "plans.0.margins_bps.direct", "5.5 is not a whole number of basis points"),
        ("margins_bps = {dirct = 550}", "plans.0.margins_bps.dirct", "there is no such setting"),
        ("prices = 5", "plans.0.prices", "5 is not a table"),
        ("discount = 5", "plans.0.discount", "there is no such setting"),
    ],
)
def test_a_mistake_of_a_plan(plan, key, problem) -> None:
    error = told(catalogue_text(plan_text("a", head=plan)))
    assert (error.key, error.line) == (key, 5)
    assert problem in error.problem


def test_plans_beside_each_other() -> None:
    error = told(catalogue_text(SMALL, SMALL))
    assert error.key == "plans.1.id"
    assert "listed twice" in error.problem
    error = told(catalogue_text(LARGE, SMALL))
    assert "small is cheaper than large before it" in error.problem
    more = plan_text("large", {"images_per_day": 5})
    for text in (catalogue_text(SMALL, more), catalogue_text(more, SMALL)):
        error = told(text)
        assert "`images_per_day` is missing; the plan large has it" in error.problem
        assert error.fix == "say `images_per_day` in every plan, or in none"


@pytest.mark.parametrize(
    "text", ['catalogue = "mine"', 'catalogue = "mine"\nplans = []', 'catalogue = "mine"\n[plans]\nid = "a"']
)
def test_no_plan(text) -> None:
    assert told(text).problem == "there is no plan"


def test_not_toml_and_no_file(tmp_path) -> None:
    error = told("catalogue = mine")
    assert (error.line, error.key) == (1, "syntax")
    with pytest.raises(ConfigurationError, match="No such file") as raised:
        load_plans(str(tmp_path / "none.toml"))
    assert "reference, pricing, payg" in raised.value.fix
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_plans(str(tmp_path / "bytes.toml"))


def test_a_default_plan_from_outside() -> None:
    assert load_plans("reference", "pro").default_plan.id == "pro"
    with pytest.raises(ConfigurationError, match=r"no plan `por`.*\n.*did you mean `pro`"):
        load_plans("reference", "por")


def test_all_mistakes_are_told_at_once_in_their_order(tmp_path) -> None:
    path = tmp_path / "plans.toml"
    text = (
        TWO.replace("api_keys = 2", "api_keys = -7")
        .replace("widgets = -1", "widgets = -3")
        .replace("sso = true", "sso = 1")
    )
    path.write_text(text)
    found = mistakes(path)
    lines = text.split("\n")
    assert [lines[one.line - 1] for one in found] == ["api_keys = -7", "widgets = -3", "widgets = -3", "sso = 1"]
    path.write_text(TWO)
    assert mistakes(path) == []
    assert [one.key for one in mistakes(tmp_path / "none.toml")] == ["file"]
