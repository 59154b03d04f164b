"""Plans of organizations: pinned versions, overrides, history, hot reload, and who was here before there were plans."""

import asyncio
import logging
import os
import sqlite3
from contextlib import asynccontextmanager

import pytest

from plans.files import LARGE, SMALL, catalogue_text, plan_text
from store.world import NOW, PEPPER, CountingIds, FakeClock
from tollway.errors import InvalidField, LedgerUnavailable, NotFound, TierLimitExceeded
from tollway.plans.overrides import Overrides
from tollway.plans.source import PlanSource
from tollway.store import EmbeddedStore
from tollway.store.sqlite import migrate, migrations, open_writer

ACTOR = {"actor": "op", "reason": "because"}


@asynccontextmanager
async def opened(folder, source=None, clock=None, prefix=0):
    store = await EmbeddedStore.open(
        folder,
        clock=clock or FakeClock(),
        ids=CountingIds(prefix),
        random_bytes=os.urandom,
        pepper=PEPPER,
        plans=source,
    )
    try:
        yield store
    finally:
        await store.close()


def run(scenario) -> None:
    asyncio.run(scenario)


def small(**limits: int) -> str:
    return plan_text("small", {"api_keys": 2, "requests_per_minute": 5, "tokens_per_day": 1_000, **limits})


def write(path, text: str) -> None:
    """As an editor does: a new file takes the place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_an_organization_without_a_subscription_has_the_default_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            assert store.plans.grants(organization).plan_id == "hobby"
            assert store.plans.subscription(organization) is None
            assert store.plans.grants(organization).requests_per_minute == 10
            with pytest.raises(TierLimitExceeded):
                store.plans.require_room(organization, "api_keys", 1)
            store.plans.require_room(organization, "api_keys", 0)
            with pytest.raises(TierLimitExceeded):
                store.plans.require_feature(organization, "sso")
        async with opened(tmp_path / "pro", PlanSource("reference", "pro", "https://x.test/up")) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            with pytest.raises(TierLimitExceeded, match="https://x.test/up") as raised:
                store.plans.require_room(organization, "api_keys", 5)
            assert raised.value.details["required_tier"] == "team"

    run(scenario())


def test_a_plan_is_in_force_at_once_and_survives_a_restart(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_plan(organization, "team", **ACTOR)
            assert store.plans.grants(organization).requests_per_minute == 300
            before = store.plans.grants(organization)
        async with opened(tmp_path, prefix=1) as store:
            assert store.plans.grants(organization) == before
            held = store.plans.subscription(organization)
            assert (held.plan.id, held.since, held.changed_by, held.reason) == ("team", NOW, "op", "because")
            assert store.plans.subscribers() == {"team": 1}

    run(scenario())


def test_the_first_organization_is_not_throttled(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            await store.bootstrap(0)
            (first,) = store.workspaces.organizations
            grants = store.plans.grants(first)
            assert grants.plan_id == "enterprise"
            assert set(grants.limits.values()) == {-1}
            second = (await store.workspaces.add_organization("Customer")).id
            await store.plans.tick()
            assert store.plans.subscription(second).plan.id == "hobby"

    run(scenario())


def test_who_was_here_before_there_were_plans_is_not_throttled(tmp_path) -> None:
    async def scenario() -> None:
        tmp_path.mkdir(exist_ok=True)
        connection = open_writer(tmp_path / "tollway.db")
        migrate(connection, NOW, [step for step in migrations() if step.version == 1])
        connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ('old', 'Old', 1)")
        connection.close()
        async with opened(tmp_path) as store:
            assert store.plans.grants("old").plan_id == "enterprise"
            await store.plans.set_plan("old", "hobby", **ACTOR)
        async with opened(tmp_path, prefix=1) as store:
            assert store.plans.grants("old").plan_id == "hobby"  # adopted once only
            told = [(one.kind, one.actor, one.reason) for one in await store.plans.history("old")]
            assert told == [("plan", "op", "because"), ("plan", "tollway", "Was here before there were plans")]

    run(scenario())


def test_what_cannot_be_set(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            with pytest.raises(NotFound):
                await store.plans.set_plan("nobody", "pro", **ACTOR)
            with pytest.raises(InvalidField, match=r"no plan `por`.*did you mean `pro`\?") as raised:
                await store.plans.set_plan(organization, "por", **ACTOR)
            assert raised.value.param == "plan"
            with pytest.raises(InvalidField, match="has passed"):
                await store.plans.set_overrides(organization, Overrides(limits={"api_keys": 5}), until=NOW, **ACTOR)
            with pytest.raises(InvalidField, match="did you mean `api_keys`"):
                await store.plans.set_overrides(organization, Overrides(limits={"apikeys": 5}), **ACTOR)
            for asking in (store.plans.subscription, store.plans.override):
                with pytest.raises(NotFound):
                    asking("nobody")
            assert await store.plans.history(organization) == []

    run(scenario())


def test_overrides_lie_over_the_plan_and_end_on_time(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with opened(tmp_path, clock=clock) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_plan(organization, "pro", **ACTOR)
            agreed = Overrides(limits={"requests_per_minute": 600}, features={"sso": True}, margins_bps={"direct": 200})
            grants = await store.plans.set_overrides(organization, agreed, until=NOW + 3_600, **ACTOR)
            assert (grants.requests_per_minute, grants.features["sso"], grants.margins_bps) == (
                600,
                True,
                {"direct": 200},
            )
            # They stay over the next plan.
            await store.plans.set_plan(organization, "team", **ACTOR)
            assert store.plans.grants(organization).requests_per_minute == 600
            assert store.plans.grants(organization).limits["api_keys"] == 20
        async with opened(tmp_path, clock=clock, prefix=1) as store:
            clock.time = NOW + 3_599
            await store.plans.tick()
            assert store.plans.grants(organization).requests_per_minute == 600
            clock.time = NOW + 3_600
            assert store.plans.override(organization) is None
            await store.plans.tick()
            assert store.plans.grants(organization).requests_per_minute == 300
        async with opened(tmp_path, clock=clock, prefix=2) as store:
            assert store.plans.grants(organization).requests_per_minute == 300

    run(scenario())


def test_overrides_are_replaced_whole_and_taken_away(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_overrides(organization, Overrides(limits={"api_keys": 9}), **ACTOR)
            await store.plans.set_overrides(organization, Overrides(limits={"widgets": 9}), **ACTOR)
            grants = store.plans.grants(organization)
            assert (grants.limits["api_keys"], grants.limits["widgets"]) == (1, 9)
            await store.plans.set_overrides(organization, None, **ACTOR)
            assert store.plans.grants(organization).limits["widgets"] == 1
            told = await store.plans.history(organization)
            assert [one.kind for one in told] == ["overrides"] * 3
            assert bytes(told[0].change["after"]) == b"null"
            assert b'"widgets":9' in bytes(told[0].change["before"])

    run(scenario())


def test_the_history_is_append_only(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_plan(organization, "pro", **ACTOR)
        connection = open_writer(tmp_path / "tollway.db")
        for statement in (
            "DELETE FROM plan_changes",
            "UPDATE plan_changes SET actor = 'x'",
            "UPDATE plan_versions SET document = '{}'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
        connection.close()

    run(scenario())


def test_a_file_that_changes_is_in_force_for_new_subscriptions_only(tmp_path) -> None:
    async def scenario() -> None:
        file = tmp_path / "plans.toml"
        write(file, catalogue_text(SMALL, LARGE))
        async with opened(tmp_path / "data", PlanSource(str(file))) as store:
            old = (await store.workspaces.add_organization("Old")).id
            await store.plans.tick()  # an organization that has just come keeps the terms that it came under
            write(file, catalogue_text(small(api_keys=7), LARGE))
            await store.plans.tick()
            assert store.plans.catalogue.plan("small").limits["api_keys"] == 7
            assert store.plans.grants(old).limits["api_keys"] == 2
            new = (await store.workspaces.add_organization("New")).id
            assert store.plans.grants(new).limits["api_keys"] == 7
            # What would change is told, and changes when the operator says so.
            (one,) = store.plans.outdated()
            assert (one.organization_id, one.after.limits["api_keys"]) == (old, 7)
            assert [tuple(told) for told in one.differences] == [("limits.api_keys", 2, 7)]
            assert store.plans.grants(old).limits["api_keys"] == 2
            await store.plans.migrate(**ACTOR)
            assert store.plans.grants(old).limits["api_keys"] == 7
            assert store.plans.outdated() == []
            assert [one.kind for one in await store.plans.history(old)] == ["migration", "plan"]

    run(scenario())


def test_pinned_terms_survive_a_restart_with_another_file(tmp_path) -> None:
    async def scenario() -> None:
        file = tmp_path / "plans.toml"
        write(file, catalogue_text(SMALL, LARGE))
        async with opened(tmp_path / "data", PlanSource(str(file))) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_plan(organization, "small", **ACTOR)
        write(file, catalogue_text(LARGE))
        async with opened(tmp_path / "data", PlanSource(str(file)), prefix=1) as store:
            assert store.plans.grants(organization).plan_id == "small"
            assert store.plans.grants(organization).limits["api_keys"] == 2
            (one,) = await store.plans.migrate(**ACTOR)  # there is no such plan any more: it stays
            assert one.after is None
            assert store.plans.grants(organization).plan_id == "small"
            assert store.plans.outdated("large") == []
            assert len(store.plans.outdated("small", organization)) == 1

    run(scenario())


def test_a_broken_file_keeps_the_old_plans_in_force_and_is_told_once(tmp_path, caplog) -> None:
    async def scenario() -> None:
        file = tmp_path / "plans.toml"
        write(file, catalogue_text(SMALL, LARGE))
        async with opened(tmp_path / "data", PlanSource(str(file))) as store:
            write(file, catalogue_text(small().replace("api_keys", "api_key"), LARGE))
            await store.plans.tick()
            await store.plans.tick()
            assert store.plans.catalogue.plan("small").limits["api_keys"] == 2
            (told,) = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
            assert f"{file}:7: plans.0.limits.api_key: there is no such limit" in told
            assert "fix: did you mean `api_keys`?" in told
            write(file, catalogue_text(small(api_keys=3), LARGE))
            await store.plans.tick()
            assert store.plans.catalogue.plan("small").limits["api_keys"] == 3
            file.unlink()
            await store.plans.tick()
            assert store.plans.catalogue.plan("small").limits["api_keys"] == 3

    with caplog.at_level(logging.INFO, "tollway.plans"):
        run(scenario())


def test_two_changes_at_once_end_in_the_order_in_which_they_are_written(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            plans = ["pro", "team", "hobby", "enterprise", "team"] * 4
            await asyncio.gather(*(store.plans.set_plan(organization, one, **ACTOR) for one in plans))
            in_memory = store.plans.grants(organization)
        async with opened(tmp_path, prefix=1) as store:
            assert store.plans.grants(organization) == in_memory
            assert in_memory.plan_id == "team"

    run(scenario())


def test_a_change_that_cannot_be_written_is_not_in_force(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            organization = (await store.workspaces.add_organization("Acme")).id
            await store.plans.set_plan(organization, "pro", **ACTOR)

            async def broken(*_: object) -> None:
                raise LedgerUnavailable

            monkeypatch.setattr(store.ledger, "execute", broken)
            with pytest.raises(LedgerUnavailable):
                await store.plans.set_plan(organization, "team", **ACTOR)
            with pytest.raises(LedgerUnavailable):
                await store.plans.set_overrides(organization, Overrides(limits={"api_keys": 9}), **ACTOR)
            assert store.plans.grants(organization).plan_id == "pro"
            assert store.plans.grants(organization).limits["api_keys"] == 5
            await store.plans.tick()

    run(scenario())
