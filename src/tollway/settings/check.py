"""What a type cannot say: settings that contradict each other, and texts that must mean something."""

import difflib
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import urlsplit

from tollway.catalogue.pricerows import in_pico
from tollway.catalogue.units import BY_NAME
from tollway.errors import ConfigurationError
from tollway.money.amount import NotAnAmount, parse_usd
from tollway.settings.providers import split_prices
from tollway.settings.sections import CustomModel, ProviderSettings, Settings

_STORES = frozenset({"valkey", "valkeys", "redis", "rediss", "unix"})


def check(settings: Settings) -> None:
    """Raise ConfigurationError for the first problem there is."""
    for problem in problems(settings):
        raise problem


def problems(settings: Settings) -> Iterator[ConfigurationError]:
    """Everything wrong with settings whose types are right."""
    server, upstream, money = settings.server, settings.upstream, settings.money
    if not server.host.strip():
        yield settings.problem("server.host", "it is empty", 'write host = "127.0.0.1", or "0.0.0.0" for every address')
    if server.workers > 1:
        yield settings.problem(
            "server.workers",
            f"{server.workers} workers would need PostgreSQL and Redis, which this version cannot use yet",
            "run one worker: set it to 1 or leave it out",
        )
    if upstream.attempt_timeout_s > upstream.total_timeout_s:
        is_set = "upstream.attempt_timeout_s" in settings.origins
        yield settings.problem(
            "upstream.attempt_timeout_s" if is_set else "upstream.total_timeout_s",
            f"an attempt may take {upstream.attempt_timeout_s} s, its whole request {upstream.total_timeout_s} s",
            "raise upstream.total_timeout_s, or lower upstream.attempt_timeout_s",
        )
    try:
        if parse_usd(money.opening_grant_usd) < 0:
            yield settings.problem("money.opening_grant_usd", "a grant is not negative", 'write "0" to grant nothing')
    except NotAnAmount as bad:
        yield settings.problem("money.opening_grant_usd", str(bad), 'write a plain decimal in quotes, such as "10"')
    yield from _shadow(settings)
    yield from _url(settings, "money.top_up_url", money.top_up_url)
    yield from _url(settings, "people.public_url", settings.people.public_url)
    yield from _mail(settings)
    yield from _url(settings, "plans.upgrade_url", settings.plans.upgrade_url)
    yield from _store_url(settings)
    yield from _url(settings, "telemetry.otlp_endpoint", settings.telemetry.otlp_endpoint)
    for name, provider in settings.providers.items():
        yield from _provider(settings, f"providers.{name}", provider)


def _shadow(settings: Settings) -> Iterator[ConfigurationError]:
    shadow = settings.shadow
    try:
        if shadow.budget_nano < 0:
            yield settings.problem("shadow.budget_usd", "a budget is not negative", 'write "0" to spend nothing')
    except NotAnAmount as bad:
        yield settings.problem("shadow.budget_usd", str(bad), 'write a plain decimal in quotes, such as "1"')
    if shadow.sample_percent and not shadow.model:
        fix = "name one that `tollway models list` has, or set sample_percent = 0"
        yield settings.problem("shadow.model", "requests are to be asked again, but of no model", fix)
    if shadow.sample_percent and not shadow.workspace_ids:
        fix = 'list their ids with commas between, or write "*" for all'
        yield settings.problem("shadow.workspaces", "requests are to be asked again, but of no workspace", fix)


def _url(settings: Settings, key: str, url: str) -> Iterator[ConfigurationError]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(char.isspace() for char in url):
        yield settings.problem(key, "this is not a URL", "write it whole: http:// or https://, then the host")


def _store_url(settings: Settings) -> Iterator[ConfigurationError]:
    url = settings.limits.valkey_url
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _STORES and bool(parts.hostname or parts.scheme == "unix") and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(char.isspace() for char in url):
        yield settings.problem(
            "limits.valkey_url",
            "this is not the address of a Valkey or Redis",
            'write it as "valkey://:password@host:6379/0", or "valkeys://" for TLS',
        )


def _mail(settings: Settings) -> Iterator[ConfigurationError]:
    people = settings.people
    if people.smtp_url:
        from tollway.mail.smtp import checked_sender, smtp_server  # noqa: PLC0415 - most starts send no mail

        for key, read, given in (
            ("smtp_url", smtp_server, people.smtp_url),
            ("mail_from", checked_sender, people.mail_from),
        ):
            try:
                read(given)
            except ValueError as bad:
                yield settings.problem(f"people.{key}", "no mail can be sent with it", str(bad))


def _provider(settings: Settings, key: str, provider: ProviderSettings) -> Iterator[ConfigurationError]:
    yield from _url(settings, f"{key}.url", provider.url)
    if provider.key and provider.key_env:
        yield settings.problem(f"{key}.key_env", "both `key` and `key_env` are set", "leave one of them out")
    if provider.key and not (provider.key.isascii() and provider.key.isprintable() and " " not in provider.key):
        yield settings.problem(
            f"{key}.key", "it has white space or characters that no key has", "copy it again, without line ends"
        )
    seen = set[str]()
    for position, model in enumerate(provider.models):
        yield from _model(settings, f"{key}.models.{position}", model)
        if model.id in seen:
            yield settings.problem(f"{key}.models.{position}.id", f"{model.id} is listed twice", "remove one of them")
        seen.add(model.id)


def _model(settings: Settings, key: str, model: CustomModel) -> Iterator[ConfigurationError]:
    if not model.id.strip():
        yield settings.problem(f"{key}.id", "it is empty", "write the name the provider knows the model by")
    if model.free and model.prices:
        yield settings.problem(f"{key}.free", "a free model has no prices", "remove either `free` or `prices`")
    if not model.free and not model.prices:
        yield settings.problem(
            key, f"{model.id} has no price", 'write prices = {input = "0.50", output = "1.50"}, or free = true'
        )
    for unit, price in model.prices.items():
        if unit not in BY_NAME:
            near = difflib.get_close_matches(unit, BY_NAME, 1)
            fix = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(BY_NAME)}"
            yield settings.problem(f"{key}.prices.{unit}", "there is no such unit", fix)
            continue

        def complain(keys: list[str | int], problem: str, fix: str, unit: str = unit) -> NoReturn:
            del keys
            raise settings.problem(f"{key}.prices.{unit}", problem, fix)

        in_pico(*split_prices({unit: price}), complain)
