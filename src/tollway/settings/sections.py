"""The sections of `tollway.toml`: one class per section, one field per setting, its reason beside it.

A field's `Meta` carries its range, its unit and why one would change it; `docs/tollway.example.toml` is written from
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tollway.errors import ConfigurationError
from tollway.money.amount import NanoUSD, parse_usd


def _why(reason: str, unit: str = "", *, ge: int | None = None, le: int | None = None, secret: bool = False) -> Meta:
    return Meta(description=reason, ge=ge, le=le, extra={"unit": unit, "secret": secret})


def meta_of(annotation: object) -> Meta:
    """The `Meta` of a setting's type; an empty one where there is none."""
    found = [one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, Meta)]
    return found[0] if found else Meta()


def is_secret(annotation: object) -> bool:
    """The value of this setting is shown to nobody."""
    return bool((meta_of(annotation).extra or {}).get("secret"))


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section: its fields are settings. Secrets are left out of its `repr`."""

    def __repr__(self) -> str:
        shown = [
            f"{one.name}={'***' if is_secret(one.type) and getattr(self, one.name) else repr(getattr(self, one.name))}"
            for one in msgspec.structs.fields(self)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Server(Section, frozen=True, kw_only=True):
    """Where and how this process answers."""

    host: Annotated[
        str, _why("Address to listen on. The default lets only this machine in; put TLS in front before you open it.")
    ] = "127.0.0.1"
    port: Annotated[int, _why("Port to listen on; 0 takes any free one.", ge=0, le=65_535)] = 8080
    workers: Annotated[
        int, _why("Processes. More than one would need PostgreSQL and Redis, which this version cannot use yet.", ge=1)
    ] = 1
    drain_seconds: Annotated[
        int, _why("How long requests may still run once the server was told to stop.", "seconds", ge=0, le=3_600)
    ] = 30
    keep_alive_seconds: Annotated[
        int,
        _why("A stream that is silent for so long gets a comment, lest a proxy close it.", "seconds", ge=1, le=3_600),
    ] = 10
    body_limit_mb: Annotated[
        int, _why("The largest request body; images and audio ride in it.", "MiB", ge=1, le=1_024)
    ] = 20
    metrics_key: Annotated[
        str, _why("Bearer key that /metrics asks for; empty leaves it open to whoever reaches the port.", secret=True)
    ] = ""
    log_format: Annotated[
        Literal["json", "text"], _why("One line per request: `json` for machines, `text` for eyes.")
    ] = "json"


class Data(Section, frozen=True, kw_only=True):
    """Where the ledger lives."""

    folder: Annotated[
        str, _why("Folder of the ledger and its keys; made on the first start. Back it up. Relative to this file.")
    ] = "./tollway-data"


class Upstream(Section, frozen=True, kw_only=True):
    """How providers are called: patience, retries and limits."""

    connect_timeout_s: Annotated[int, _why("To open a connection to a provider.", "seconds", ge=1, le=300)] = 5
    attempt_timeout_s: Annotated[
        int,
        _why("Per attempt: to a stream's first byte, or to the whole of a plain answer.", "seconds", ge=1, le=3_600),
    ] = 120
    idle_timeout_s: Annotated[int, _why("Between two pieces of a stream.", "seconds", ge=1, le=3_600)] = 120
    total_timeout_s: Annotated[int, _why("For a request with all its attempts.", "seconds", ge=1, le=86_400)] = 600
    retries_per_offer: Annotated[
        int, _why("More tries at the same provider after a failure that may pass, before the first byte.", ge=0, le=10)
    ] = 1
    attempts_max: Annotated[
        int, _why("Tries in all, over every provider and fallback model of one request.", ge=1, le=20)
    ] = 4
    reply_limit_mb: Annotated[
        int, _why("The largest plain answer that is read from a provider.", "MiB", ge=1, le=1_024)
    ] = 64
    max_connections: Annotated[int, _why("Connections to providers at once; 0 sets no limit.", ge=0, le=100_000)] = 0


class Money(Section, frozen=True, kw_only=True):
    """What is charged on top of cost, and what is reserved. Amounts are exact text in US dollars."""

    currency: Annotated[Literal["USD"], _why("Of every wallet and price.")] = "USD"
    margin_direct_bps: Annotated[
        int, _why("On top of cost where the caller names the model: 550 is 5.5 %.", "basis points", ge=0, le=100_000)
    ] = 550
    margin_auto_bps: Annotated[
        int, _why("On top of cost where routing chose the model.", "basis points", ge=0, le=100_000)
    ] = 1_000
    margin_tier_bps: Annotated[
        int, _why("On top of cost where the caller pinned a tier.", "basis points", ge=0, le=100_000)
    ] = 800
    opening_grant_usd: Annotated[
        str, _why("What the first wallet starts with, so that the first call works.", "USD")
    ] = "10"
    rolling_step_tokens: Annotated[
        int, _why("A stream without `max_tokens` reserves this much output at a time.", "tokens", ge=16, le=1_000_000)
    ] = 2_048
    default_max_output_tokens: Annotated[
        int, _why("The most output of a plain answer without `max_tokens`.", "tokens", ge=16, le=1_000_000)
    ] = 4_096
    top_up_url: Annotated[str, _why("Where a caller with an empty wallet can pay; shown in the 402 answer.")] = ""

    @property
    def margins_bps(self) -> Mapping[str, int]:
        """Basis points by how the model was chosen, where a plan has none of its own."""
        return {"direct": self.margin_direct_bps, "auto": self.margin_auto_bps, "tier": self.margin_tier_bps}

    @property
    def opening_grant_nano(self) -> NanoUSD:
        """The opening grant in nano-USD."""
        return parse_usd(self.opening_grant_usd)


class Limits(Section, frozen=True, kw_only=True):
    """What counts beside the plan; -1 is no limit. Of a key, where it has no limit of its own."""

    requests_per_minute: Annotated[int, _why("Per key and UTC minute.", "requests", ge=-1, le=1_000_000_000)] = -1
    tokens_per_day: Annotated[
        int, _why("Per key and UTC day, of input and output.", "tokens", ge=-1, le=1_000_000_000_000)
    ] = -1
    valkey_url: Annotated[
        str,
        _why(
            "Valkey or Redis that counts for all processes: `valkey://:password@host:6379/0`, or `valkeys://` with TLS; "
            "needs the extra `scale`. Empty counts in this process.",
            secret=True,
        ),
    ] = ""
    on_store_down: Annotated[
        Literal["closed", "local"],
        _why(
            "While it does not answer: `closed` lets no new request in (503); `local` counts in each process, so that "
            "every one of them lets the whole limits pass."
        ),
    ] = "closed"
    api_requests_per_minute: Annotated[
        int, _why("Per workspace and UTC minute, to everything but chat.", "requests", ge=-1, le=1_000_000_000)
    ] = 600


class People(Section, frozen=True, kw_only=True):
    """Accounts of people: who may make one, how long a login lasts, and how mails go out."""

    signup: Annotated[
        Literal["open", "invite", "closed"],
        _why(
            "Who may make an account: `open`, anybody, with an organization of their own; `invite`, whoever has an "
            "invitation; `closed`, nobody."
        ),
    ] = "invite"
    session_hours: Annotated[
        int, _why("A login ends so long after its last use, and after 30 days anyway.", "hours", ge=1, le=720)
    ] = 24
    public_url: Annotated[
        str,
        _why(
            "Address of your pages for people: a mail links to `/invitation` or `/reset` there, with the token behind "
            "`#token=`. Empty: mails carry the token alone."
        ),
    ] = ""
    smtp_url: Annotated[
        str,
        _why(
            "Mail server, `smtp://user:password@host:587` or `smtps://user:password@host:465`; empty writes mails to "
            "standard error.",
            secret=True,
        ),
    ] = ""
    mail_from: Annotated[str, _why("The sender of mails.")] = "Tollway <tollway@localhost>"


class Plans(Section, frozen=True, kw_only=True):
    """What is sold: limits, features and prices by plan. A changed file is in force within two seconds."""

    catalogue: Annotated[
        str,
        _why("`reference`, `pricing` or `payg`, which are shipped; or the path of a TOML file, relative to this file."),
    ] = "reference"
    default_plan: Annotated[
        str, _why("Id of the plan where a sign-up starts; empty takes the one that the catalogue says.")
    ] = ""
    upgrade_url: Annotated[
        str, _why("Where a customer can buy a larger plan; told in the 403 of whoever hits a limit.")
    ] = ""


class Routing(Section, frozen=True, kw_only=True):
    """What is known of models, for `auto` to choose between them."""

    baseline_model: Annotated[
        str, _why("What savings are measured against: a model of the catalogue, named directly.")
    ] = "anthropic/claude-opus-4-8"
    standings: Annotated[
        str,
        _why(
            "A YAML file that adds models to the shipped facts or replaces them (docs/how-to/rate-a-model.md); relative "
            "to this file. Empty: the shipped ones alone."
        ),
    ] = ""
    estimate_unlisted: Annotated[
        bool,
        _why(
            "Let `auto` choose models of which nothing is known, too: tier and quality are then estimated from their price."
        ),
    ] = False


class Shadow(Section, frozen=True, kw_only=True):
    """Asking some requests again of a second model, aside, to learn whether it would have done. You pay for it."""

    sample_percent: Annotated[int, _why("Of the requests that are answered; 0 is off.", "percent", ge=0, le=100)] = 0
    model: Annotated[str, _why("The second model. Prompts go to its provider, too.")] = ""
    judge_model: Annotated[
        str, _why("A model that scores both answers, 0 to 100. Empty: only the words they share are counted.")
    ] = ""
    budget_usd: Annotated[str, _why("The most that it may cost you per UTC day.", "USD")] = "1"
    workspaces: Annotated[
        str, _why('Whose requests may be taken: ids of workspaces with commas between, or "*" for all. Empty: none.')
    ] = ""

    @property
    def budget_nano(self) -> NanoUSD:
        """The budget in nano-USD."""
        return parse_usd(self.budget_usd)

    @property
    def workspace_ids(self) -> frozenset[str]:
        """The ids, or `*`."""
        return frozenset(name for one in self.workspaces.split(",") if (name := one.strip()))


class Webhooks(Section, frozen=True, kw_only=True):
    """Where the webhooks of customers may go."""

    allow_http: Annotated[bool, _why("Also to addresses without TLS; for a trial on one machine.")] = False
    allow_private_addresses: Annotated[
        bool,
        _why("Also to private, loopback and link-local addresses: whoever makes a webhook reaches your own network."),
    ] = False


class Telemetry(Section, frozen=True, kw_only=True):
    """Where traces go; logs and metrics need no setting."""

    otlp_endpoint: Annotated[
        str, _why("OpenTelemetry collector (OTLP over HTTP); needs the extra `otel`. Empty sends nothing.")
    ] = ""


class CustomModel(Section, frozen=True, kw_only=True):
    """A model at a provider of your own."""

    id: Annotated[str, _why("The name the provider knows it by.")]
    name: Annotated[str, _why("What people call it; the id if empty.")] = ""
    context_tokens: Annotated[int, _why("Longest prompt with its answer; 0 if unknown.", "tokens", ge=0)] = 0
    max_output_tokens: Annotated[int, _why("Longest answer; 0 if unknown.", "tokens", ge=0)] = 0
    tokenizer: Annotated[
        Literal["", "o200k", "cl100k"], _why("The vocabulary that counts its tokens exactly; empty estimates.")
    ] = ""
    free: Annotated[bool, _why("It costs nothing, on purpose; a model without a price is refused.")] = False
    prices: Annotated[
        Mapping[str, str],
        _why("USD per million tokens, in quotes; of `request`, `web_search`, `file_search` per thousand calls."),
    ] = msgspec.field(default_factory=dict[str, str])


class ProviderSettings(Section, frozen=True, kw_only=True):
    """A provider: its key and address, or a whole one of your own."""

    enabled: Annotated[bool, _why("False takes all its offers out, even with a key in the environment.")] = True
    key: Annotated[str, _why("The API key itself. Better: leave it in the environment.", secret=True)] = ""
    key_env: Annotated[str, _why("Name of the environment variable that holds the key.")] = ""
    url: Annotated[str, _why("Base URL; needed for a provider of your own, else it replaces the known one.")] = ""
    dialect: Annotated[
        Literal["", "openai", "anthropic", "gemini"], _why("The wire language of a provider of your own.")
    ] = ""
    name: Annotated[str, _why("What people call it.")] = ""
    on_disconnect: Annotated[
        Literal["", "estimate", "drain", "no_bill"],
        _why(
            "When a caller hangs up: `estimate` stops the provider and charges the input and what was delivered; "
            "`drain` reads the answer to its end and charges it; `no_bill` stops it and charges nothing. Empty: as "
            "our data file says, `estimate` for a provider of your own."
        ),
    ] = ""
    models: Annotated[tuple[CustomModel, ...], _why("The models of a provider of your own.")] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: `file` may name the environment or the command line; `line` is 1-based, None elsewhere."""

    file: str
    line: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of an installation, checked.

    providers: id -> what the file says about it. environment: the process's variables, for provider keys.
    file: the file that was read, "" if none. origins: dotted key (`server.port`, `providers.x.models.0.id`) -> where.
    """

    server: Server = field(default_factory=Server)
    data: Data = field(default_factory=Data)
    upstream: Upstream = field(default_factory=Upstream)
    money: Money = field(default_factory=Money)
    limits: Limits = field(default_factory=Limits)
    plans: Plans = field(default_factory=Plans)
    routing: Routing = field(default_factory=Routing)
    shadow: Shadow = field(default_factory=Shadow)
    people: People = field(default_factory=People)
    webhooks: Webhooks = field(default_factory=Webhooks)
    telemetry: Telemetry = field(default_factory=Telemetry)
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    file: str = ""
    origins: Mapping[str, Origin] = field(default_factory=dict[str, Origin], repr=False, compare=False)

    def problem(self, key: str, problem: str, fix: str) -> ConfigurationError:
        """The error to raise about a dotted key, with the place where it, or the section around it, was set."""
        return problem_at(self.origins, self.file, key, problem, fix)


def problem_at(origins: Mapping[str, Origin], file: str, key: str, problem: str, fix: str) -> ConfigurationError:
    """See `Settings.problem`."""
    around = key
    while around and around not in origins:
        around = around.rpartition(".")[0]
    origin = origins.get(around) or Origin(file or "tollway.toml", None, key)
    shown = key if around != key or origin.line is not None else origin.key
    return ConfigurationError(file=origin.file, line=origin.line, key=shown, problem=problem, fix=fix)


SECTIONS: Mapping[str, type[Section]] = {
    "server": Server,
    "data": Data,
    "upstream": Upstream,
    "money": Money,
    "limits": Limits,
    "plans": Plans,
    "routing": Routing,
    "shadow": Shadow,
    "people": People,
    "webhooks": Webhooks,
    "telemetry": Telemetry,
}
"""Section name -> class, in the order of the example file. `[providers.<id>]` comes after them."""
