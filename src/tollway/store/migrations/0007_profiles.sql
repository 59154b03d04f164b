-- Routing profiles with keys of their own, aliases of models, and presets in versions. *_at is unix seconds.

-- rules: JSON of what a profile may route to (workspaces/profile.py). A deleted one stays for the keys that name it.
CREATE TABLE routing_profiles (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  name         TEXT NOT NULL,
  rules        TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  changed_at   INTEGER NOT NULL,
  deleted_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX routing_profile_names ON routing_profiles (workspace_id, name) WHERE deleted_at IS NULL;

ALTER TABLE keys ADD COLUMN profile_id TEXT REFERENCES routing_profiles (id);  -- whose rules it follows; NULL: none

-- Another name of a model, of `auto` or of a preset.
CREATE TABLE model_aliases (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  name         TEXT NOT NULL,
  target       TEXT NOT NULL,
  is_override  INTEGER NOT NULL CHECK (is_override IN (0, 1)),
  created_at   INTEGER NOT NULL,
  changed_at   INTEGER NOT NULL,
  deleted_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX model_alias_names ON model_aliases (workspace_id, name) WHERE deleted_at IS NULL;

-- A preset that is made again under its name goes on counting versions, so that a number never means another one.
CREATE TABLE presets (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  name         TEXT NOT NULL,
  description  TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  deleted_at   INTEGER,
  PRIMARY KEY (workspace_id, name)
) STRICT, WITHOUT ROWID;

-- Append-only. parameters: JSON object of chat parameters. created_by: key, user or operator.
CREATE TABLE preset_versions (
  workspace_id TEXT NOT NULL,
  name         TEXT NOT NULL,
  version      INTEGER NOT NULL CHECK (version > 0),
  model        TEXT NOT NULL,
  parameters   TEXT NOT NULL,
  system       TEXT NOT NULL,
  created_by   TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, name, version),
  FOREIGN KEY (workspace_id, name) REFERENCES presets (workspace_id, name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER preset_versions_never_change BEFORE UPDATE ON preset_versions
BEGIN SELECT RAISE(ABORT, 'versions of presets are append-only'); END;
