-- People: accounts, sessions, where they belong, who is invited, and what was done in an organization.
-- digest: HMAC-SHA256 of a token that was told once; *_at is unix seconds unless it ends in _ms.

-- email_key: the address in lower case, so that no two spellings of it are two accounts.
CREATE TABLE users (
  id            TEXT PRIMARY KEY,
  email         TEXT NOT NULL,
  email_key     TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id         TEXT NOT NULL REFERENCES users (id),
  role            TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer', 'billing')),
  created_at      INTEGER NOT NULL,
  PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID;

-- A session that has ended is no row.
CREATE TABLE sessions (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users (id),
  digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A person has at most one way to a new password at a time.
CREATE TABLE password_resets (
  user_id    TEXT PRIMARY KEY REFERENCES users (id),
  digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email           TEXT NOT NULL,
  role            TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer', 'billing')),
  invited_by_kind TEXT NOT NULL CHECK (invited_by_kind IN ('key', 'member', 'operator')),
  invited_by      TEXT NOT NULL,
  digest          BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who did what in an organization; append-only. details: a JSON object without secrets.
CREATE TABLE audit_log (
  seq             INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  at_ms           INTEGER NOT NULL,
  actor_kind      TEXT NOT NULL CHECK (actor_kind IN ('key', 'member', 'operator')),
  actor_id        TEXT NOT NULL,
  action          TEXT NOT NULL,
  target          TEXT NOT NULL,
  details         TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_of_organization ON audit_log (organization_id, seq);
CREATE TRIGGER audit_log_never_changes BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
