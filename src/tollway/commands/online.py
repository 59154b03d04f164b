"""`tollway doctor --online`: one authenticated request to each provider that is configured, which costs nothing."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

from tollway.catalogue.offers import Provider
from tollway.commands.checks import Finding, fail, ok, warn
from tollway.commands.reach import status_of

_CHAT = "/chat/completions"


def online_checks(providers: Iterable[Provider]) -> list[Finding]:
    """Ask each provider that can be called for the list of its models."""
    asked = [one for one in providers if one.is_usable and one.wire.url.startswith("http")]
    if not asked:
        return [ok("online", "no provider is configured")]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(_ask, asked))


def _ask(provider: Provider) -> Finding:
    what = f"online {provider.id}"
    status = status_of(*_models_request(provider))
    match status:
        case 200:
            return ok(what, "answers, and takes our key" if provider.key else "answers")
        case 401 | 403:
            return fail(what, f"refuses our key ({status})", "make a new key at the provider, or correct the old one")
        case 404 | 405:
            return ok(what, f"answers; it has no list of models ({status}), so the key was not tried")
        case int():
            return warn(what, f"answers with {status}", "try again later; see the provider's status page")
        case str():
            return fail(what, status, f"check the network between here and {urlsplit(provider.wire.url).hostname}")


def _models_request(provider: Provider) -> tuple[str, dict[str, str]]:
    wire = provider.wire
    path = wire.path.replace(_CHAT, "/models").replace("/messages", "/models").partition("/{model}")[0]
    url, headers = wire.url + path, {"user-agent": "tollway", **wire.headers}
    if wire.auth == "bearer" and provider.key:
        headers[wire.auth_name] = f"Bearer {provider.key}"
    elif wire.auth == "header" and provider.key:
        headers[wire.auth_name] = provider.key
    elif wire.auth == "query" and provider.key:
        url += f"?{quote(wire.auth_name)}={quote(provider.key)}"
    return url, headers
