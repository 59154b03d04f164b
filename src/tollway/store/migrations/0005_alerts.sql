-- What people are told: alerts, and events on their way to webhooks. *_at is unix seconds unless it ends in _ms.

-- What a workspace wants to be told about; one without a row has the defaults. *_percent: JSON list.
CREATE TABLE alert_settings (
  workspace_id     TEXT PRIMARY KEY REFERENCES workspaces (id),
  budget_percent   TEXT NOT NULL,
  tokens_percent   TEXT NOT NULL,
  storage_percent  TEXT NOT NULL,
  low_balance_nano INTEGER NOT NULL CHECK (low_balance_nano >= 0),
  email            INTEGER NOT NULL CHECK (email IN (0, 1))
) STRICT, WITHOUT ROWID;

-- A threshold that was passed: told once per subject, threshold and window, whatever restarts or races.
-- threshold: percent, or nano-USD of a balance. What has no window of time (a balance, a storage) has is_level: it can
-- be passed again once it was on the other side, which sets cleared_at.
-- mail: none wanted, due, sent, or failed for good.
CREATE TABLE alerts (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL REFERENCES workspaces (id),
  kind          TEXT NOT NULL,
  subject       TEXT NOT NULL,
  threshold     INTEGER NOT NULL,
  window_start  INTEGER NOT NULL,
  is_level      INTEGER NOT NULL CHECK (is_level IN (0, 1)),
  data          TEXT NOT NULL,
  mail          TEXT NOT NULL CHECK (mail IN ('none', 'due', 'sent', 'failed')),
  mail_tries    INTEGER NOT NULL DEFAULT 0,
  mail_at       INTEGER NOT NULL DEFAULT 0,
  created_at_ms INTEGER NOT NULL,
  cleared_at    INTEGER,
  UNIQUE (subject, threshold, window_start)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alerts_of_level ON alerts (subject, threshold) WHERE is_level AND cleared_at IS NULL;
CREATE INDEX alerts_of_workspace ON alerts (workspace_id, id);
CREATE INDEX alerts_to_mail ON alerts (mail_at) WHERE mail = 'due';

-- secret, old_secret: encrypted under a key made from the pepper. events: JSON list; NULL: all.
CREATE TABLE webhook_endpoints (
  id              TEXT PRIMARY KEY,
  workspace_id    TEXT NOT NULL REFERENCES workspaces (id),
  url             TEXT NOT NULL,
  events          TEXT,
  description     TEXT NOT NULL,
  is_enabled      INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  disabled_reason TEXT NOT NULL DEFAULT '',
  secret          BLOB NOT NULL,
  old_secret      BLOB,
  old_until       INTEGER,
  failing_since   INTEGER,
  created_at      INTEGER NOT NULL,
  deleted_at      INTEGER
) STRICT, WITHOUT ROWID;

-- body: the JSON that is sent and signed, made once.
CREATE TABLE webhook_events (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL REFERENCES workspaces (id),
  type          TEXT NOT NULL,
  body          BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One event on its way to one endpoint. attempts: how many there have been; tries: those since it was made or replayed,
-- which say when the next one is.
CREATE TABLE webhook_deliveries (
  id            TEXT PRIMARY KEY,
  event_id      TEXT NOT NULL REFERENCES webhook_events (id),
  endpoint_id   TEXT NOT NULL REFERENCES webhook_endpoints (id),
  status        TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead', 'cancelled')),
  attempts      INTEGER NOT NULL DEFAULT 0,
  tries         INTEGER NOT NULL DEFAULT 0,
  next_at       INTEGER,
  created_at_ms INTEGER NOT NULL,
  CHECK ((status = 'pending') = (next_at IS NOT NULL)),
  UNIQUE (endpoint_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON webhook_deliveries (endpoint_id, next_at) WHERE status = 'pending';
CREATE INDEX deliveries_of_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX deliveries_of_event ON webhook_deliveries (event_id);
CREATE INDEX deliveries_by_age ON webhook_deliveries (created_at_ms);
CREATE INDEX events_by_age ON webhook_events (created_at_ms);

-- Append-only. status: of the response, 0 if there was none. response: its first 1,024 bytes.
CREATE TABLE webhook_attempts (
  delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id),
  at_ms       INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  error       TEXT NOT NULL,
  latency_ms  INTEGER NOT NULL,
  response    TEXT NOT NULL,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER attempts_never_change BEFORE UPDATE ON webhook_attempts
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
