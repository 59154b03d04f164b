-- Which plan an organization is on: the version it was sold, and what was agreed beyond it.

-- Every version of a plan that was ever in force, whole; version: the hash of its document. Never changed.
CREATE TABLE plan_versions (
  catalogue  TEXT NOT NULL,
  plan_id    TEXT NOT NULL,
  version    TEXT NOT NULL,
  document   TEXT NOT NULL,                          -- JSON
  first_seen INTEGER NOT NULL,
  PRIMARY KEY (catalogue, plan_id, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER plan_versions_never_change BEFORE UPDATE ON plan_versions
BEGIN SELECT RAISE(ABORT, 'a plan version is never changed'); END;

-- A subscription pins a version: a changed file reaches it only when the operator migrates it.
CREATE TABLE subscriptions (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
  catalogue       TEXT NOT NULL,
  plan_id         TEXT NOT NULL,
  version         TEXT NOT NULL,
  since           INTEGER NOT NULL,
  changed_by      TEXT NOT NULL,
  reason          TEXT NOT NULL,
  FOREIGN KEY (catalogue, plan_id, version) REFERENCES plan_versions (catalogue, plan_id, version)
) STRICT, WITHOUT ROWID;

-- What replaces the plan's values for one organization. until: NULL: for good.
CREATE TABLE overrides (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
  document        TEXT NOT NULL,                     -- JSON: limits, features, margins_bps
  since           INTEGER NOT NULL,
  until           INTEGER,
  actor           TEXT NOT NULL,
  reason          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only: who changed what an organization may do, when and why.
CREATE TABLE plan_changes (
  seq             INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  kind            TEXT NOT NULL CHECK (kind IN ('plan', 'migration', 'overrides')),
  change          TEXT NOT NULL,                     -- JSON: before, after
  actor           TEXT NOT NULL,
  reason          TEXT NOT NULL,
  at              INTEGER NOT NULL
) STRICT;
CREATE INDEX plan_changes_of_organization ON plan_changes (organization_id, seq);
CREATE TRIGGER plan_changes_never_change BEFORE UPDATE ON plan_changes
BEGIN SELECT RAISE(ABORT, 'plan changes are append-only'); END;
CREATE TRIGGER plan_changes_stay BEFORE DELETE ON plan_changes
BEGIN SELECT RAISE(ABORT, 'plan changes are append-only'); END;

-- Who was here before there were plans gets the highest one at the next start, so that an upgrade throttles nobody.
CREATE TABLE organizations_before_plans (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id)
) STRICT, WITHOUT ROWID;
INSERT INTO organizations_before_plans (organization_id) SELECT id FROM organizations;
