"""Who is told of a workspace's alerts: the owners, admins and billing members of its organization."""

from tollway.alerts.letters import Audience
from tollway.store.people import People
from tollway.store.workspaces import Workspaces
from tollway.workspaces.actor import Role

TOLD: frozenset[Role] = frozenset({"owner", "admin", "billing"})


class Audiences:
    """Looks up whom to tell, in memory."""

    def __init__(self, workspaces: Workspaces, people: People) -> None:
        self._workspaces, self._people = workspaces, people

    def of(self, workspace_id: str) -> Audience:
        """Whom to tell of a workspace. Raises NotFound: no such workspace."""
        workspace = self._workspaces.workspace(workspace_id)
        organization = self._workspaces.organizations[workspace.organization_id]
        members = [one for one in self._people.members_of(organization.id) if one.role in TOLD]
        addresses = [self._people.accounts.user(one.user_id).email for one in members]
        return Audience(organization.name, workspace.name, addresses)
