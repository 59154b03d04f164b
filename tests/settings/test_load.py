"""The settings: where they come from, which source wins, and what each mistake is answered with."""

import pathlib

import msgspec
import pytest

from tollway.errors import ConfigurationError
from tollway.settings import Settings, load_settings, unknown_variables
from tollway.settings.example import example
from tollway.settings.load import variables
from tollway.settings.sections import SECTIONS, CustomModel, ProviderSettings, meta_of

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text=None, environment=None, **flags):
    if text is not None:
        pathlib.Path("tollway.toml").write_text(text, encoding="utf-8")
    return load_settings(environment=environment or {}, flags={key.replace("__", "."): to for key, to in flags.items()})


def test_nothing_at_all_gives_the_defaults():
    settings = load()
    assert settings == Settings()
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8080, 1)
    assert settings.money.opening_grant_nano == 10_000_000_000
    assert settings.file == ""


def test_flags_win_over_variables_over_the_file():
    text = "[server]\nport = 1\nhost = 'file'\nbody_limit_mb = 3\n"
    environment = {"TOLLWAY_PORT": "2", "TOLLWAY_HOST": "variable", "TOLLWAY_SERVER_DRAIN_SECONDS": "5"}
    settings = load(text, environment, server__port=3, server__workers=None)
    assert (settings.server.port, settings.server.host, settings.server.body_limit_mb) == (3, "variable", 3)
    assert settings.server.drain_seconds == 5


def test_empty_variables_count_as_unset():
    assert load("[server]\nport = 1\n", {"TOLLWAY_PORT": "", "TOLLWAY_CONFIG": ""}).server.port == 1


def test_the_file_is_named_by_flag_or_variable(folder):
    (folder / "one.toml").write_text("[server]\nport = 1\n")
    (folder / "two.toml").write_text("[server]\nport = 2\n")
    environment = {"TOLLWAY_CONFIG": "two.toml"}
    assert load_settings(environment=environment).server.port == 2
    assert load_settings(config="one.toml", environment=environment).server.port == 1


def test_a_folder_in_the_file_is_relative_to_the_file(folder):
    (folder / "etc").mkdir()
    (folder / "etc" / "t.toml").write_text("[data]\nfolder = 'books'\n")
    assert load_settings(config="etc/t.toml", environment={}).data.folder == "etc/books"
    assert load_settings(config="etc/t.toml", environment={"TOLLWAY_DATA": "here"}).data.folder == "here"
    assert load_settings(config="etc/t.toml", environment={}, flags={"data.folder": "/x"}).data.folder == "/x"


def test_every_setting_has_its_own_variable():
    names = [variable for _, variable in variables()]
    assert len(set(names)) == len(names) == sum(len(kind.__struct_fields__) for kind in SECTIONS.values())
    assert "TOLLWAY_UPSTREAM_ATTEMPTS_MAX" in names
    assert load(environment={"TOLLWAY_UPSTREAM_ATTEMPTS_MAX": "7"}).upstream.attempts_max == 7


def test_variables_that_look_like_ours_are_reported_with_the_nearest():
    environment = {"TOLLWAY_PROT": "1", "TOLLWAY_PORT": "1", "TOLLWAY_ZZZZZZZ_QQ": "1", "PATH": "x"}
    assert unknown_variables(environment) == (("TOLLWAY_PROT", "TOLLWAY_PORT"), ("TOLLWAY_ZZZZZZZ_QQ", ""))


PROVIDER = """
[providers.mine]
url = "http://127.0.0.1:8000/v1"
dialect = "openai"
key = "sk-secret-0123"

[[providers.mine.models]]
id = "a"
context_tokens = 32_768
prices = {input = "0.5", output = "1.5"}

[[providers.mine.models]]
id = "b"
free = true
"""


def test_providers_and_their_models():
    provider = load(PROVIDER).providers["mine"]
    assert (provider.url, provider.dialect, provider.key) == ("http://127.0.0.1:8000/v1", "openai", "sk-secret-0123")
    assert [(model.id, model.free, dict(model.prices)) for model in provider.models] == [
        ("a", False, {"input": "0.5", "output": "1.5"}),
        ("b", True, {}),
    ]


def test_a_secret_is_in_no_repr():
    settings = load(PROVIDER + "[server]\nmetrics_key = 'hush-hush'\n", {"OPENAI_API_KEY": "sk-other"})
    for text in (repr(settings), repr(settings.providers["mine"]), repr(settings.server), str(settings.server)):
        assert "secret" not in text
        assert "hush" not in text
        assert "sk-" not in text
    assert "key=***, key_env=''" in repr(settings.providers["mine"])
    assert settings.environment["OPENAI_API_KEY"] == "sk-other"


def test_the_place_of_a_key_can_be_asked_later():
    settings = load(PROVIDER)
    problem = settings.problem("providers.mine.models.0.tokenizer", "p", "f")
    assert (problem.file, problem.line, problem.key) == ("tollway.toml", 7, "providers.mine.models.0.tokenizer")


# What is written, then: line, key, a part of the problem, a part of the fix.
MISTAKES = [
    ("[server]\nprot = 1", 2, "server.prot", "no such setting in [server]", "did you mean `port`?"),
    ("\n[server]\nzzz = 1", 3, "server.zzz", "no such setting", "there are: host, port, workers"),
    ("[sever]\nport = 1", 1, "sever", "no such section", "did you mean `server`?"),
    ("port = 1", 1, "port", "outside any section", "move it below [server]"),
    ("server = 1", 1, "server", "a section, not a setting", "write [server]"),
    ("[server]\nport = '80'", 2, "server.port", '"80" is not a whole number from 0 to 65535', "port = 8080"),
    ("[server]\nport = 80.5", 2, "server.port", "80.5 is not a whole number from 0 to 65535", "port = 8080"),
    ("[server]\nport = 65536", 2, "server.port", "65536 is not a whole number from 0 to 65535", "port = 8080"),
    ("[server]\nport = true", 2, "server.port", "true is not a whole number", "port = 8080"),
    ("[server]\nport = [1]", 2, "server.port", "the value is not a whole number", "port = 8080"),
    ("[server]\nhost = 1", 2, "server.host", "1 is not text in quotes", 'write host = "1"'),
    ("[server]\nhost = ' '", 2, "server.host", "it is empty", 'write host = "127.0.0.1"'),
    ("[server]\nlog_format = 'xml'", 2, "server.log_format", 'not one of "json", "text"', 'log_format = "json"'),
    ("[server]\nworkers = 2", 2, "server.workers", "PostgreSQL and Redis", "run one worker"),
    ("[server]\nworkers = 0", 2, "server.workers", "0 is not a whole number, 1 or more", "workers = 1"),
    ("[server]\nmetrics_key = 5", 2, "server.metrics_key", "the value is not text", 'metrics_key = "..."'),
    ("[upstream]\nidle_timeout_s = 0", 2, "upstream.idle_timeout_s", "a whole number of seconds from 1 to", "120"),
    ("[upstream]\nattempt_timeout_s = 900", 2, "upstream.attempt_timeout_s", "s, its whole request", "raise"),
    ("[upstream]\ntotal_timeout_s = 10", 2, "upstream.total_timeout_s", "s, its whole request", "raise"),
    ("[money]\nopening_grant_usd = 10.5", 2, "money.opening_grant_usd", "10.5 is not text", 'usd = "10.5"'),
    ("[money]\nopening_grant_usd = 'ten'", 2, "money.opening_grant_usd", "not an amount", "plain decimal in quotes"),
    ("[money]\nopening_grant_usd = '-1'", 2, "money.opening_grant_usd", "not negative", '"0"'),
    ("[money]\nopening_grant_usd = '0.0000000001'", 2, "money.opening_grant_usd", "finer than a nano", "decimal"),
    ("[money]\ncurrency = 'EUR'", 2, "money.currency", '"EUR" is not one of "USD"', "USD"),
    ("[money]\ntop_up_url = 'pay.example'", 2, "money.top_up_url", "not a URL", "https://"),
    ("[limits]\nvalkey_url = 'http://localhost:6379'", 2, "limits.valkey_url", "not the address", "valkey://"),
    ("[limits]\non_store_down = 'open'", 2, "limits.on_store_down", "", "closed"),
    ("[telemetry]\notlp_endpoint = 'http://[::1'", 2, "telemetry.otlp_endpoint", "not a URL", "https://"),
    ('[people]\nsignup = "anyone"', 2, "people.signup", "anyone", "invite"),
    (
        '[people]\nsmtp_url = "mail.acme.test"',
        2,
        "people.smtp_url",
        "no mail can be sent",
        "smtp://user:password@host:587",
    ),
    (
        '[people]\nsmtp_url = "smtp://mail.test"\nmail_from = "Toll"',
        3,
        "people.mail_from",
        "no mail can be sent",
        "name@domain",
    ),
    ('[people]\npublic_url = "pages.test"', 2, "people.public_url", "not a URL", "https://"),
    ("[limits]\ntokens_per_day = -2", 2, "limits.tokens_per_day", "tokens from -1 to", "tokens_per_day = -1"),
    ("[providers]\nmine = 1", 2, "providers.mine", "a provider's section", "write [providers.mine]"),
    ("[providers.'My One']\nkey='x'", 1, "providers.My One", "of a-z, 0-9", "write [providers.my-one]"),
    ("[providers.x]\nkye = 'x'", 2, "providers.x.kye", "no such setting in [providers.x]", "did you mean `key`?"),
    ("[providers.x]\nkey = 5", 2, "providers.x.key", "the value is not text in quotes", 'write key = "..."'),
    ("[providers.x]\nkey = 'sk a\\n'", 2, "providers.x.key", "white space", "copy it again"),
    ("[providers.x]\nkey='a'\nkey_env='B'", 3, "providers.x.key_env", "both `key` and `key_env`", "leave one"),
    ("[providers.x]\nurl = 'ftp://a'", 2, "providers.x.url", "not a URL", "http://"),
    ("[providers.x]\ndialect = 'open'", 2, "providers.x.dialect", '"open" is not one of', '"anthropic"'),
    ("[providers.x]\nenabled = 'no'", 2, "providers.x.enabled", '"no" is not true or false', "write true or false"),
    ("[providers.x]\nmodels = 1", 2, "providers.x.models", "1 is not a list of tables", "write a list of tables"),
    ("[providers.x]\nmodels = [1]", 2, "providers.x.models.0", "not a model", "[[providers.x.models]]"),
    ("[[providers.x.models]]\nname='n'", 1, "providers.x.models.0", "`id` is missing", 'add `id = "..."`'),
    ("[[providers.x.models]]\nid=''\nfree=true", 2, "providers.x.models.0.id", "it is empty", "name the provider"),
    ("[[providers.x.models]]\nid='m'", 1, "providers.x.models.0", "m has no price", "free = true"),
    (
        "[[providers.x.models]]\nid='m'\nfree=true\n[[providers.x.models]]\nfree=true\nid='m'",
        6,
        "providers.x.models.1.id",
        "m is listed twice",
        "remove one",
    ),
    (
        "[[providers.x.models]]\nid='m'\nfree=true\nprices={input='1'}",
        3,
        "providers.x.models.0.free",
        "no prices",
        "remove",
    ),
    (
        "[[providers.x.models]]\nid='m'\n[providers.x.models.prices]\ninput = 0.50",
        4,
        "providers.x.models.0.prices.input",
        "exact text",
        'input = "0.50"',
    ),
    (
        "[[providers.x.models]]\nid='m'\nprices={inptu='1'}",
        3,
        "providers.x.models.0.prices.inptu",
        "no such unit",
        "did you mean `input`?",
    ),
    (
        "[[providers.x.models]]\nid='m'\nprices={input='1$'}",
        3,
        "providers.x.models.0.prices.input",
        "not an amount",
        "plain decimal",
    ),
    (
        "[[providers.x.models]]\nid='m'\nprices={input='-1'}",
        3,
        "providers.x.models.0.prices.input",
        "never below zero",
        "plain decimal",
    ),
    ("[server]\n\nport = \nhost='x'", 3, "syntax", "not TOML: Invalid value at column 8", "key = value"),
    ("[providers.x]\nkey = sk-123", 2, "syntax", "not TOML: Invalid value", 'text "in quotes"'),
    ("[server]\nport=1\nport=2\n", 3, "syntax", "Cannot overwrite a value", "line of its own"),
    ("[server]\nhost = 'x\n", 2, "syntax", "not TOML", "quotes"),
    ("[server]\nhost = '''x\n\n", 2, "syntax", "not TOML", "quotes"),
]


@pytest.mark.parametrize(("text", "line", "key", "problem", "fix"), MISTAKES)
def test_a_mistake_names_line_key_problem_and_fix(*, text, line, key, problem, fix):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    error = caught.value
    assert (error.file, error.key) == ("tollway.toml", key)
    assert error.line == line
    assert problem in error.problem
    assert fix in error.fix
    assert "sk-123" not in str(error)
    where = "tollway.toml" if line is None else f"tollway.toml:{line}"
    assert str(error) == f"{where}: {key}: {error.problem}\n  fix: {error.fix}"


def test_a_mistake_in_the_environment_names_the_variable():
    with pytest.raises(ConfigurationError) as caught:
        load(environment={"TOLLWAY_PORT": "8o80"})
    assert str(caught.value) == (
        "the environment: TOLLWAY_PORT: '8o80' is not a whole number from 0 to 65535\n"
        "  fix: the default is TOLLWAY_PORT=8080"
    )


def test_a_mistake_on_the_command_line_names_the_flag():
    with pytest.raises(ConfigurationError) as caught:
        load("[server]\nworkers = 1\n", server__workers=3)
    assert str(caught.value).startswith("the command line: --workers: 3 workers would need PostgreSQL and Redis")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda file: None, "there is no such file"),
        (lambda file: file.mkdir(), "it cannot be read"),
        (lambda file: file.write_bytes(b"# caf\xe9\n"), "byte 5 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(folder, make, problem):
    make(folder / "no.toml")
    with pytest.raises(ConfigurationError, match=problem):
        load_settings(config="no.toml", environment={})


class TestExampleFile:
    def test_it_is_the_one_in_the_docs(self):
        written = (DOCS / "tollway.example.toml").read_text(encoding="utf-8")
        assert written == example(), "run: python -m tollway.settings.example > docs/tollway.example.toml"

    def test_it_parses_and_is_the_defaults(self):
        settings = load(example())
        assert settings.data.folder == "tollway-data"
        for name in SECTIONS:
            if name != "data":
                assert getattr(settings, name) == getattr(Settings(), name)
        assert settings.providers == {}

    def test_its_comments_parse_too(self):
        lines = [
            line[1:] if line.startswith("#") and line[1:2] not in {" ", ""} else line for line in example().split("\n")
        ]
        settings = load("\n".join(lines))
        assert sorted(settings.providers) == ["my-server", "openai"]
        assert [model.free for model in settings.providers["my-server"].models] == [False, True]

    def test_every_setting_has_its_reason_and_is_in_it(self):
        text = example()
        for kind in (*SECTIONS.values(), ProviderSettings, CustomModel):
            for field in msgspec.structs.fields(kind):
                assert len(meta_of(field.type).description or "") > 10, f"{kind.__name__}.{field.name}"
                is_there = f"\n{field.name} = " in text or f"\n#{field.name} = " in text or f".{field.name}]" in text
                assert is_there, f"{kind.__name__}.{field.name}"
