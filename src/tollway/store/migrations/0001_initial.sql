-- Who is calling, what they have, what is held, what was moved, and what was asked.
-- Money is integer nano-USD; *_at is unix seconds unless it ends in _ms; day is unix days, UTC.

CREATE TABLE installation (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workspaces (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name            TEXT NOT NULL,
  created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A key is revoked, never deleted: what it spent stays explained. digest: HMAC-SHA256; the key itself is not kept.
CREATE TABLE keys (
  id                  TEXT PRIMARY KEY,
  workspace_id        TEXT NOT NULL REFERENCES workspaces (id),
  name                TEXT NOT NULL,
  prefix              TEXT NOT NULL,
  digest              BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  scopes              TEXT NOT NULL,                 -- JSON list
  allowed_models      TEXT,                          -- JSON list; NULL: all
  budget_nano         INTEGER CHECK (budget_nano >= 0),
  budget_window       TEXT NOT NULL CHECK (budget_window IN ('day', 'week', 'month', 'lifetime')),
  requests_per_minute INTEGER NOT NULL CHECK (requests_per_minute >= -1),
  tokens_per_day      INTEGER NOT NULL CHECK (tokens_per_day >= -1),
  expires_at          INTEGER,
  revoked_at          INTEGER,
  created_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_of_workspace ON keys (workspace_id, id);

CREATE TABLE operators (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  revoked_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
  id       INTEGER PRIMARY KEY,
  code     TEXT NOT NULL UNIQUE,
  currency TEXT NOT NULL
) STRICT;

-- The cached sums of a wallet; the audit proves them from postings and holds. CHECK is the last wall: never negative.
CREATE TABLE wallets (
  workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id),
  account_id   INTEGER NOT NULL UNIQUE REFERENCES accounts (id),
  posted_nano  INTEGER NOT NULL DEFAULT 0,
  held_nano    INTEGER NOT NULL DEFAULT 0 CHECK (held_nano >= 0),
  frozen_nano  INTEGER NOT NULL DEFAULT 0 CHECK (frozen_nano >= 0),
  CHECK (posted_nano - held_nano - frozen_nano >= 0)
) STRICT, WITHOUT ROWID;

-- What a key spent and holds per UTC day; a budget window is a sum of days, so nothing is ever reset.
CREATE TABLE key_days (
  key_id     TEXT NOT NULL REFERENCES keys (id),
  day        INTEGER NOT NULL,
  spent_nano INTEGER NOT NULL DEFAULT 0 CHECK (spent_nano >= 0),
  held_nano  INTEGER NOT NULL DEFAULT 0 CHECK (held_nano >= 0),
  PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID;

-- A hold is a row only while it is open; its end is the generation of the same id, which can be written only once.
-- id: the request's.
CREATE TABLE holds (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL REFERENCES wallets (workspace_id),
  key_id        TEXT NOT NULL REFERENCES keys (id),
  amount_nano   INTEGER NOT NULL CHECK (amount_nano >= 0),
  price_list_id TEXT NOT NULL,
  margin_bps    INTEGER NOT NULL,
  offer_id      TEXT NOT NULL,
  opened_at     INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only: a correction is a new transfer.
CREATE TABLE transfers (
  id            INTEGER PRIMARY KEY,
  kind          TEXT NOT NULL,
  external_ref  TEXT NOT NULL,
  description   TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  UNIQUE (external_ref, kind)
) STRICT;
CREATE TRIGGER transfers_never_change BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER transfers_stay BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;

-- balance_after_nano: of a wallet, counted when the posting was decided; NULL on other accounts.
CREATE TABLE postings (
  transfer_id        INTEGER NOT NULL REFERENCES transfers (id),
  line               INTEGER NOT NULL,
  account_id         INTEGER NOT NULL REFERENCES accounts (id),
  amount_nano        INTEGER NOT NULL CHECK (amount_nano <> 0),
  balance_after_nano INTEGER,
  PRIMARY KEY (transfer_id, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX postings_of_wallet ON postings (account_id, transfer_id) WHERE balance_after_nano IS NOT NULL;
CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings
BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
CREATE TRIGGER postings_stay BEFORE DELETE ON postings
BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;

-- One row per request whose hold has ended. hold_nano: what the hold came to. charge_nano: what the wallet paid;
-- bad_debt_nano: what it could not. The story is beside it, so that sums over usage read short rows.
CREATE TABLE generations (
  seq              INTEGER PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  workspace_id     TEXT NOT NULL REFERENCES workspaces (id),
  key_id           TEXT NOT NULL,
  outcome          TEXT NOT NULL CHECK (outcome IN ('settled', 'void', 'expired')),
  hold_nano        INTEGER NOT NULL,
  charge_nano      INTEGER NOT NULL CHECK (charge_nano >= 0),
  bad_debt_nano    INTEGER NOT NULL CHECK (bad_debt_nano >= 0),
  cost_nano        INTEGER NOT NULL,
  price_list_id    TEXT NOT NULL,
  margin_bps       INTEGER NOT NULL,
  opened_at        INTEGER NOT NULL,
  created_at_ms    INTEGER NOT NULL,
  model_asked      TEXT NOT NULL,
  model            TEXT NOT NULL,
  provider         TEXT NOT NULL,
  offer_id         TEXT NOT NULL,
  status           TEXT NOT NULL,
  http_status      INTEGER NOT NULL,
  error_code       TEXT NOT NULL,
  is_streamed      INTEGER NOT NULL,
  finish_reason    TEXT NOT NULL,
  input_tokens     INTEGER NOT NULL,
  output_tokens    INTEGER NOT NULL,
  cached_tokens    INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  usage_source     TEXT NOT NULL,
  latency_ms       INTEGER NOT NULL,
  ttft_ms          INTEGER NOT NULL,
  user_id          TEXT NOT NULL,
  CHECK (outcome = 'settled' OR charge_nano = 0)
) STRICT;
CREATE INDEX generations_of_workspace ON generations (workspace_id, created_at_ms);
-- Only the row that recovery or the sweep wrote for an expired hold may be completed, by its late settle.
CREATE TRIGGER generations_never_change BEFORE UPDATE ON generations
WHEN OLD.outcome <> 'expired' OR NEW.outcome <> 'settled' OR NEW.id <> OLD.id OR NEW.workspace_id <> OLD.workspace_id
BEGIN SELECT RAISE(ABORT, 'generations are append-only'); END;
CREATE TRIGGER generations_stay BEFORE DELETE ON generations
BEGIN SELECT RAISE(ABORT, 'generations are append-only'); END;

-- A receipt may be dropped after its time of keeping; the money it explains may not.
CREATE TABLE receipts (
  seq   INTEGER PRIMARY KEY REFERENCES generations (seq),
  story BLOB NOT NULL
) STRICT;

-- Replies kept for clients that ask again with the same Idempotency-Key (24 h).
CREATE TABLE replies (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  key          TEXT NOT NULL,
  body_hash    BLOB NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('running', 'done')),
  status       INTEGER NOT NULL DEFAULT 0,
  content_type TEXT NOT NULL DEFAULT '',
  reply        BLOB NOT NULL DEFAULT x'',
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, key)
) STRICT;
CREATE INDEX replies_by_age ON replies (created_at);

-- Written by the ledger to find out whether writing works again after a failure.
CREATE TABLE probes (
  id     INTEGER PRIMARY KEY,
  filler BLOB NOT NULL
) STRICT;
