-- Keys: from where they may be used, switched off and on, who made them, and the secret before the last rotation.
-- Workspaces: deleted with thirty days of grace, then purged; nothing that was charged is deleted with them.

ALTER TABLE keys ADD COLUMN ip_allow TEXT NOT NULL DEFAULT '[]';  -- JSON list of networks; []: all addresses
ALTER TABLE keys ADD COLUMN disabled_at INTEGER;                  -- may be enabled again; revoked_at is for ever
ALTER TABLE keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN previous_digest BLOB CHECK (previous_digest IS NULL OR length(previous_digest) = 32);
ALTER TABLE keys ADD COLUMN previous_until INTEGER;

ALTER TABLE workspaces ADD COLUMN deleted_at INTEGER;
ALTER TABLE workspaces ADD COLUMN purge_at INTEGER;
ALTER TABLE workspaces ADD COLUMN purged_at INTEGER;
CREATE INDEX workspaces_deleted ON workspaces (purge_at) WHERE deleted_at IS NOT NULL;
