"""The rig of the fault tests: the gateway in front of the upstream that fails on demand, and charges added up by hand.

Providers of the gateway, all of them the same upstream: `fault` (OpenAI's shape), `fault-a` (Anthropic's), `fault-g`
(Gemini's), and `drain`, `nobill` for the other two policies of a caller who hangs up. A model's name is what it does.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from rs_bpe import bpe

from faults.client import Reply, ask, request_bytes
from support.fault_upstream import USAGE_BEHAVIOURS, WIRE_BEHAVIOURS
from support.gateway import Gateway
from support.upstreams import FaultUpstream

Result = TypeVar("Result")
DIALECTS = {"openai": "fault", "anthropic": "fault-a", "gemini": "fault-g"}
MARGIN = Decimal("1.055")
INPUT, OUTPUT, CACHED = Decimal(3), Decimal(15), Decimal("0.3")
"""USD per million tokens of every model, but for `cheap`, which costs a third."""
STATUSES = (302, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529)
SPOKEN = "Say some words."
_O200K = bpe.openai.o200k_base()


def toml(upstream: FaultUpstream, *, grant: str = "1000", settings: str = "", tokenizer: str = "o200k") -> str:
    """A tollway.toml with the providers of the rig. settings: more sections, TOML."""
    names = [f"fault-{name}" for name in sorted(WIRE_BEHAVIOURS | USAGE_BEHAVIOURS)]
    names += [f"fault-status-{status}" for status in STATUSES]
    names += ["fault-slow-1bps", "fault-slow-2000bps", "fault-split-7"]
    parts = [f'[money]\nopening_grant_usd = "{grant}"\n', settings]
    wired = [("fault", "openai", "estimate"), ("fault-a", "anthropic", "estimate"), ("fault-g", "gemini", "estimate")]
    wired += [("drain", "openai", "drain"), ("nobill", "openai", "no_bill"), ("drain-a", "anthropic", "drain")]
    for provider, dialect, policy in wired:
        url = upstream.openai if dialect == "openai" else upstream.url
        parts.append(f'[providers.{provider}]\nurl = "{url}"\ndialect = "{dialect}"\non_disconnect = "{policy}"\n')
        parts += [_model(provider, name, tokenizer, "3", "15", "0.3") for name in names]
        parts.append(_model(provider, "cheap", tokenizer, "1", "5", "0.1"))
    return "\n".join(parts)


def _model(provider: str, name: str, tokenizer: str, given: str, output: str, cached: str) -> str:
    return (
        f'[[providers.{provider}.models]]\nid = "{name}"\ntokenizer = "{tokenizer}"\n'
        f'[providers.{provider}.models.prices]\ninput = "{given}"\noutput = "{output}"\ncache_read = "{cached}"\n'
        f'cache_write_5m = "{given}"\ncache_write_1h = "{given}"\n'
    )


FAST_TIMEOUTS = """
[upstream]
connect_timeout_s = 2
attempt_timeout_s = 3
idle_timeout_s = 3
total_timeout_s = 7
retries_per_offer = 0
[server]
keep_alive_seconds = 1
drain_seconds = 10
"""
STEP = 64
STRICT = f"""
rolling_step_tokens = {STEP}
[server]
body_limit_mb = 1
keep_alive_seconds = 1
[upstream]
retries_per_offer = 0
"""


def tokens(text: str) -> int:
    """Tokens of a text in the vocabulary that the rig's models name."""
    return _O200K.count(text)


def usd(*, input: int = 0, output: int = 0, cached: int = 0, scale: Decimal = Decimal(1)) -> Decimal:  # noqa: A002
    """The charge by hand: counts x prices x margin, rounded once, half to even, to nano-USD."""
    exact = (input * INPUT + output * OUTPUT + cached * CACHED) * scale / 10**6 * MARGIN
    return exact.quantize(Decimal("1e-9"))


def chat(model: str, text: str = SPOKEN, **fields: Any) -> dict[str, Any]:
    """A chat body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def run(scenario: Coroutine[Any, Any, Result]) -> Result:
    """Run a scenario to its end."""
    return asyncio.run(scenario)


@dataclass
class Rig:
    """A running gateway and its upstream."""

    gateway: Gateway
    upstream: FaultUpstream

    @property
    def port(self) -> int:
        return self.gateway.port

    def request(
        self, model: str, text: str = SPOKEN, *, key: str = "", headers: dict[str, str] | None = None, **fields: Any
    ) -> bytes:
        """A chat request as bytes."""
        return request_bytes(key or self.gateway.key, chat(model, text, **fields), **(headers or {}))

    async def chat(self, model: str, text: str = SPOKEN, **fields: Any) -> Reply:
        """One chat request. `key`, `headers` as in `request`."""
        return await ask(self.port, self.request(model, text, **fields))

    def generation(self, generation_id: str) -> dict[str, Any]:
        """The generation with its receipt."""
        return self.gateway.receipt(generation_id)["data"]

    def wait_generation(self, user_id: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The one generation of this `user_id`, once its request has ended: a caller who hung up is told no id."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = [one for one in self.recent() if one["user_id"] == user_id]
            if found:
                assert len(found) == 1, found
                return self.generation(found[0]["id"])
            assert time.monotonic() < deadline, f"no generation of {user_id} after {timeout_s} s"
            time.sleep(0.05)

    def recent(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest requests."""
        return self.gateway.ask("GET", f"/v1/usage/recent?limit={limit}")[1]["data"]

    def admin(self, method: str, path: str, body: Any = None, status: int = 201) -> Any:
        """What the operator asks; its `data`, or all of the answer where there is more."""
        got, answer, _ = self.gateway.ask(method, path, body, key=self.gateway.admin)
        assert got == status, answer
        return answer

    def heal(self) -> None:
        """Every offer counts as well again, whatever earlier tests did to it."""
        self.admin("DELETE", "/admin/offers/health", status=200)

    def new_workspace(self, grant: Decimal | str) -> str:
        """A workspace with this much in its wallet; its id."""
        organization = self.admin("GET", "/admin/organizations", status=200)["data"][0]["id"]
        made = self.admin("POST", "/admin/workspaces", {"organization_id": organization, "name": "fault tests"})
        workspace: str = made["data"]["id"]
        if Decimal(grant):
            self.credit(workspace, grant)
        return workspace

    def credit(self, workspace: str, amount: Decimal | str) -> None:
        """Put money into a wallet, or take it out."""
        body = {"usd": f"{Decimal(amount):f}", "kind": "adjustment", "reason": "fault tests"}
        self.admin("POST", f"/admin/wallets/{workspace}/credit", body, status=200)

    def new_key(self, workspace: str, **limits: Any) -> str:
        """The text of a new key."""
        return self.admin("POST", "/admin/keys", {"workspace_id": workspace, "name": "fault tests", **limits})["key"]

    def wallet(self, key: str = "") -> dict[str, Decimal]:
        """available, reserved and balance of the wallet of a key."""
        _, body, _ = self.gateway.ask("GET", "/v1/wallet", key=key or None)
        return {name: Decimal(body["data"][f"{name}_usd"]) for name in ("available", "reserved", "balance")}

    def assert_settled(self, key: str = "", timeout_s: float = 10.0) -> None:
        """Nothing is held any more."""
        deadline = time.monotonic() + timeout_s
        while (wallet := self.wallet(key))["reserved"]:
            assert time.monotonic() < deadline, f"a hold is still open: {wallet}"
            time.sleep(0.05)
        assert wallet["available"] == wallet["balance"]

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        _, text, _ = self.gateway.ask("GET", "/metrics", key="")
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        assert lines, f"no metric {name}"
        return sum(float(line.rpartition(" ")[2]) for line in lines)


def charge_of(generation: dict[str, Any]) -> Decimal:
    return Decimal(generation["charge_usd"])


def attempts_of(generation: dict[str, Any]) -> list[tuple[str, str]]:
    """(model, reason) of each attempt in a receipt."""
    return [(one["model"], one["reason"]) for one in generation["receipt"]["attempts"]]


def lines_of(generation: dict[str, Any]) -> dict[str, int]:
    """unit -> count of what a receipt charges."""
    return {line["unit"]: line["count"] for line in generation["receipt"]["lines"]}


def total(charges: Iterable[Decimal]) -> Decimal:
    return sum(charges, Decimal(0))


def check_error(reply: Reply, status: int, kind: str, code: str) -> dict[str, Any]:
    """It is the documented error; its object."""
    assert (reply.status, reply.error["type"], reply.error["code"]) == (status, kind, code), reply.body
    return reply.error
