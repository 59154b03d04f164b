"""How much there is of what a plan limits, for `/v1/limits` and for who is over a limit."""

from tollway.store.embedded import EmbeddedStore


def of_workspace(store: EmbeddedStore, workspace_id: str) -> dict[str, int]:
    """Limit name -> how much there is, of the limits that hold for each workspace."""
    return {"api_keys": store.workspaces.live_keys(workspace_id)}


def of_organization(store: EmbeddedStore, organization_id: str) -> dict[str, int]:
    """Limit name -> how much there is, of the limits that hold for the organization as a whole."""
    return {
        "workspaces": len(store.workspaces.live_workspaces(organization_id)),
        "members": len(store.people.members_of(organization_id)),
        "routing_profiles": len(store.profiles.live(organization_id)),
    }
