"""Who is calling: organizations, workspaces and their API keys, as frozen values."""
