"""Organizations and workspaces: renamed, deleted with thirty days of grace, restored, purged."""

import asyncio

import pytest

from store.world import NOW, PEPPER, opened
from tollway.errors import NotFound, TierLimitExceeded, ValidationFailed, WorkspaceInUse
from tollway.workspaces.actor import By
from tollway.workspaces.key import digest
from tollway.workspaces.workspace import GRACE_S

BY = By("operator", "local")


def test_names_change_and_are_kept(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id
            assert (await workspaces.rename_organization(org, " New Ltd ", by=BY)).name == "New Ltd"
            assert (await workspaces.rename_workspace(world.ws, "prod", by=BY)).name == "prod"
            for call in (workspaces.rename_organization(org, " "), workspaces.rename_workspace(world.ws, "")):
                with pytest.raises(ValidationFailed):
                    await call
            for call in (workspaces.rename_organization("x", "n"), workspaces.rename_workspace("x", "n")):
                with pytest.raises(NotFound):
                    await call
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.organization(org).name == "New Ltd"
            assert world.store.workspaces.workspace(world.ws).name == "prod"

    asyncio.run(scenario())


def test_a_deleted_workspace_refuses_its_keys_and_comes_back(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id
            second = await workspaces.add_workspace(org, "second", by=BY)
            live, secret = await workspaces.add_key(second.id, name="live")
            off, _ = await workspaces.add_key(second.id, name="off")
            dead, _ = await workspaces.add_key(second.id, name="dead")
            await workspaces.disable_key(off.id)
            await workspaces.revoke_key(dead.id)
            deleting = asyncio.create_task(workspaces.delete_workspace(second.id, by=BY))
            await asyncio.sleep(0.0)
            assert workspaces.key(digest(secret, PEPPER)).state == "workspace_deleted"
            assert "Restore the workspace" in workspaces.key(digest(secret, PEPPER)).refusal
            deleted = await deleting
            assert (deleted.deleted_at, deleted.purge_at) == (NOW, NOW + GRACE_S)
            assert await workspaces.delete_workspace(second.id) == deleted
            assert workspaces.key_by_id(world.key.id).state == "active"
            assert [one.id for one in workspaces.live_workspaces(org)] == [world.ws]
            assert [one.id for one in workspaces.workspaces_of(org)] == [world.ws, second.id]
            with pytest.raises(NotFound, match="restore"):
                await workspaces.add_key(second.id, name="k")
            with pytest.raises(NotFound, match="restore"):
                await world.store.wallets.credit(second.id, 5, kind="topup")
            with pytest.raises(NotFound, match="restore"):
                await workspaces.rename_workspace(second.id, "n")
        async with opened(tmp_path, prefix=1) as world:
            workspaces = world.store.workspaces
            assert workspaces.key(digest(secret, PEPPER)).state == "workspace_deleted"
            assert await workspaces.purge(NOW + GRACE_S - 1) == []
            assert (await workspaces.enable_key(off.id)).state == "workspace_deleted"
            await workspaces.disable_key(off.id)
            restored = await workspaces.restore_workspace(second.id, by=BY)
            assert restored.is_live
            assert await workspaces.restore_workspace(second.id) == restored
            states = [workspaces.key_by_id(key.id).state for key in (live, off, dead)]
            assert states == ["active", "disabled", "revoked"]
            actions = [row[0] for row in await world.ask("SELECT action FROM audit_log ORDER BY seq")]
            assert actions == ["workspace.create", "workspace.delete", "workspace.restore"]
        async with opened(tmp_path, prefix=2) as world:
            assert world.store.workspaces.key(digest(secret, PEPPER)).state == "active"

    asyncio.run(scenario())


def test_the_last_one_stays(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id
            with pytest.raises(WorkspaceInUse, match="last workspace"):
                await workspaces.delete_workspace(world.ws)
            second = await workspaces.add_workspace(org, "second")
            done = await asyncio.gather(
                workspaces.delete_workspace(world.ws), workspaces.delete_workspace(second.id), return_exceptions=True
            )
            assert [type(one).__name__ for one in done] == ["Workspace", "WorkspaceInUse"]
            assert len(workspaces.live_workspaces(org)) == 1

    asyncio.run(scenario())


def test_money_is_moved_or_keeps_the_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id
            second = await workspaces.add_workspace(org, "second")
            key, _ = await workspaces.add_key(second.id, name="k")
            elsewhere = await workspaces.add_organization("other")
            foreign = await workspaces.add_workspace(elsewhere.id, "foreign")
            await world.fund(2_500_000_000, second.id)
            with pytest.raises(WorkspaceInUse, match=r"2\.5 USD.*move_to") as refused:
                await workspaces.delete_workspace(second.id)
            assert (refused.value.param, refused.value.details["balance_usd"]) == ("move_to", "2.5")
            for wrong in ("nobody", second.id, foreign.id):
                with pytest.raises(ValidationFailed) as refused:
                    await workspaces.delete_workspace(second.id, move_to=wrong)
                assert refused.value.param == "move_to"
            assert workspaces.key_by_id(key.id).state == "active"
            await world.hold("h1", 5, key)
            with pytest.raises(WorkspaceInUse, match="running"):
                await workspaces.delete_workspace(second.id, move_to=world.ws)
            assert workspaces.key_by_id(key.id).state == "active"
            await world.void("h1", key)
            deleted = await workspaces.delete_workspace(second.id, move_to=world.ws)
            assert not deleted.is_live
            assert world.ledger.balance(second.id).posted_nano == 0
            assert world.balance.posted_nano == 2_500_000_000
            rows = await world.ask("SELECT kind FROM transfers ORDER BY id DESC LIMIT 1")
            assert rows == [("transfer",)]

    asyncio.run(scenario())


def test_after_thirty_days_it_is_gone_and_its_money_rows_stay(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id
            second = await workspaces.add_workspace(org, "second")
            key, _ = await workspaces.add_key(second.id, name="k")
            await world.fund(5, second.id)
            await workspaces.delete_workspace(second.id, move_to=world.ws)
            world.clock.time = NOW + GRACE_S
            await world.store.sweep(NOW + GRACE_S)
            assert workspaces.workspace(second.id).purged_at == NOW + GRACE_S
            assert workspaces.key_by_id(key.id).is_revoked
            assert [one.id for one in workspaces.workspaces_of(org)] == [world.ws]
            with pytest.raises(NotFound, match="for ever"):
                await workspaces.restore_workspace(second.id)
            with pytest.raises(NotFound):
                workspaces.own_workspace(org, second.id)
            assert await workspaces.purge(NOW + GRACE_S) == []
            assert (await world.ask("SELECT count(*) FROM postings"))[0][0] == 4
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.workspace(second.id).purged_at is not None
            assert world.store.workspaces.key_by_id(key.id).is_revoked

    asyncio.run(scenario())


def test_room_is_asked_for_a_new_one_and_for_one_that_comes_back(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces, org = world.store.workspaces, world.key.organization_id

            def room(current: int) -> None:
                if current >= 2:
                    raise TierLimitExceeded

            making = (workspaces.add_workspace(org, f"w{n}", room=room) for n in range(5))
            done = await asyncio.gather(*making, return_exceptions=True)
            made = [one for one in done if not isinstance(one, TierLimitExceeded)]
            assert len(made) == 1
            await workspaces.delete_workspace(made[0].id)
            await workspaces.add_workspace(org, "another", room=room)
            with pytest.raises(TierLimitExceeded):
                await workspaces.restore_workspace(made[0].id, room=room)

    asyncio.run(scenario())


def test_a_workspace_is_its_organizations_own(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces = world.store.workspaces
            other = await workspaces.add_organization("other")
            assert workspaces.own_workspace(world.key.organization_id, world.ws).id == world.ws
            for organization, workspace in ((other.id, world.ws), (world.key.organization_id, "nobody")):
                with pytest.raises(NotFound):
                    workspaces.own_workspace(organization, workspace)
            with pytest.raises(NotFound):
                workspaces.organization("nobody")

    asyncio.run(scenario())
