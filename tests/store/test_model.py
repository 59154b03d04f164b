"""T5 of reliability.md: the embedded ledger against a model in plain Python, by random histories with restarts."""

import asyncio
import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from store.test_audit import verdicts
from store.world import NOW, PEPPER, CountingIds, FakeClock, World
from tollway.errors import BudgetExceeded, InsufficientBalance
from tollway.ledger.transfer import between
from tollway.store import EmbeddedStore

AMOUNT = st.integers(0, 120)
BUDGET = 400


MEMORY = Path("/dev/shm")
"""No real disk where there is a file system in memory: what is tested here is arithmetic, not power cuts."""


def fresh_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tollway-model-", dir=MEMORY if MEMORY.is_dir() else None))


@cache
def template() -> Path:
    """A closed store with two wallets, to be copied."""
    folder = fresh_folder()

    async def build() -> None:
        store = await EmbeddedStore.open(
            folder, clock=FakeClock(), ids=CountingIds(), random_bytes=os.urandom, pepper=PEPPER
        )
        organization = await store.workspaces.add_organization("Acme")
        for budget in (BUDGET, None):
            ws = await store.workspaces.add_workspace(organization.id, "w")
            await store.workspaces.add_key(ws.id, name="k", budget_nano=budget, budget_window="day")
        await store.close()

    asyncio.run(build())
    atexit.register(shutil.rmtree, folder)
    return folder


@dataclass
class Held:
    wallet: int
    amount: int
    day: int
    expires_at: int
    state: str = "open"
    taken: int = 0
    bad: int = 0


class LedgerModel(RuleBasedStateMachine):
    """Two wallets; the first one's key has a budget of 400 a day."""

    holds = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.folder = fresh_folder()
        shutil.copytree(template(), self.folder, dirs_exist_ok=True)
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.posted = [0, 0]
        self.model: dict[str, Held] = {}
        self.spent: dict[int, int] = {}
        self.refs = self.opens = 0
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.opens += 1
        store = await EmbeddedStore.open(
            self.folder, clock=self.clock, ids=CountingIds(self.opens), random_bytes=os.urandom, pepper=PEPPER
        )
        self.world = World(store, self.clock)
        self.keys = sorted(store.workspaces.keys_of(), key=lambda key: key.budget_nano is None)

    @property
    def day(self) -> int:
        return int(self.clock.time) // 86_400

    def available(self, wallet: int) -> int:
        return self.posted[wallet] - sum(
            h.amount for h in self.model.values() if h.wallet == wallet and h.state == "open"
        )

    def budget_left(self) -> int:
        held = sum(h.amount for h in self.model.values() if h.wallet == 0 and h.state == "open" and h.day == self.day)
        return BUDGET - self.spent.get(self.day, 0) - held

    def refused(self, wallet: int, amount: int):
        if wallet == 0 and amount > self.budget_left():
            return BudgetExceeded
        return InsufficientBalance if amount > self.available(wallet) else None

    def take(self, hold: Held, charge: int) -> tuple[int, int]:
        """R7. The hold does not count as open any more, so what it had reserved is in `available`."""
        taken = min(charge, self.available(hold.wallet))
        self.posted[hold.wallet] -= taken
        if hold.wallet == 0:
            self.spent[hold.day] = self.spent.get(hold.day, 0) + taken
        return taken, charge - taken

    @rule(wallet=st.integers(0, 1), nano=st.integers(1, 500))
    def fund(self, wallet: int, nano: int) -> None:
        self.refs += 1
        self.runner.run(self.world.fund(nano, self.keys[wallet].workspace_id, f"pay{self.refs}"))
        self.posted[wallet] += nano

    @rule(target=holds, wallet=st.integers(0, 1), amount=AMOUNT, lasts=st.integers(0, 200))
    def hold(self, wallet: int, amount: int, lasts: int) -> str:
        name = f"r{len(self.model)}"
        refused = self.refused(wallet, amount)
        if refused is not None:
            with pytest.raises(refused):
                self.runner.run(self.world.hold(name, amount, self.keys[wallet], lasts))
            self.model[name] = Held(wallet, 0, self.day, 0, "refused")
            return name
        self.runner.run(self.world.hold(name, amount, self.keys[wallet], lasts))
        self.model[name] = Held(wallet, amount, self.day, int(self.clock.time) + lasts)
        return name

    @rule(name=holds, more=AMOUNT)
    def enlarge(self, name: str, more: int) -> None:
        hold = self.model[name]
        if hold.state != "open" or hold.day != self.day:
            return
        refused = self.refused(hold.wallet, more)
        if refused is not None:
            with pytest.raises(refused):
                self.runner.run(self.world.ledger.raise_hold(name, more))
            return
        self.runner.run(self.world.ledger.raise_hold(name, more))
        hold.amount += more

    @rule(name=holds, charge=st.integers(0, 300))
    def settle(self, name: str, charge: int) -> None:
        hold = self.model[name]
        if hold.state == "refused":
            return
        settled = self.runner.run(self.world.settle(name, charge, self.keys[hold.wallet], cost=charge * 9 // 10))
        if hold.state in {"settled", "void"}:
            assert (settled.taken_nano, settled.bad_debt_nano, settled.is_replay) == (hold.taken, hold.bad, True)
            return
        hold.state = "settled"
        hold.taken, hold.bad = self.take(hold, charge)
        assert (settled.taken_nano, settled.bad_debt_nano, settled.is_replay) == (hold.taken, hold.bad, False)

    @rule(name=holds, failover=st.integers(0, 5))
    def void(self, name: str, failover: int) -> None:
        hold = self.model[name]
        if hold.state == "refused":
            return
        self.runner.run(self.world.void(name, self.keys[hold.wallet], failover))
        if hold.state == "open":
            hold.state = "void"

    @rule(seconds=st.integers(0, 120))
    def tick_and_sweep(self, seconds: int) -> None:
        self.clock.time += seconds
        self.runner.run(self.world.store.sweep(int(self.clock.time)))
        for hold in self.model.values():
            if hold.state == "open" and hold.expires_at <= self.clock.time:
                hold.state = "expired"

    @rule()
    def next_day(self) -> None:
        self.clock.time += 86_400

    @rule(nano=st.integers(1, 200), back=st.booleans())
    def transfer(self, nano: int, back: bool) -> None:
        source, target = (1, 0) if back else (0, 1)
        self.refs += 1
        wallets = [key.workspace_id for key in self.keys]
        moving = self.world.ledger.post(between(wallets[source], wallets[target], nano, external_ref=f"t{self.refs}"))
        if nano > self.available(source):
            with pytest.raises(InsufficientBalance):
                self.runner.run(moving)
            return
        self.runner.run(moving)
        self.posted[source] -= nano
        self.posted[target] += nano

    @rule()
    def restart(self) -> None:
        self.runner.run(self.world.store.close())
        self.runner.run(self._open())
        for hold in self.model.values():
            if hold.state == "open":
                hold.state = "expired"

    @invariant()
    def balances_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        for wallet, key in enumerate(self.keys):
            balance = self.world.ledger.balance(key.workspace_id)
            assert (balance.posted_nano, balance.available_nano) == (self.posted[wallet], self.available(wallet))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.runner.run(self.world.store.sweep(int(self.clock.time)))
            self.runner.run(self.world.store.close())
            self.runner.close()
            assert verdicts(self.folder / "tollway.db", int(self.clock.time)) == {}
            shutil.rmtree(self.folder)


def test_the_ledger_against_a_model(request) -> None:
    full = request.config.getoption("--full", default=False)
    examples, steps = (10_000, 50) if full else (300, 30)
    if os.environ.get("TOLLWAY_MODEL_EXAMPLES"):
        examples = int(os.environ["TOLLWAY_MODEL_EXAMPLES"])
    run_state_machine_as_test(
        LedgerModel,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


assert NOW % 86_400 < 86_400 - 30 * 120, "a history of ticks does not cross midnight unless it says so"
