-- What people and programs thought of answers. *_at_ms is unix ms.

-- Append-only: who says something else later adds a row, and the newest of a (request, actor) counts.
-- score: 0 worst, 100 best. label, comment: '' where there is none.
CREATE TABLE feedback (
  seq           INTEGER PRIMARY KEY,
  generation_id TEXT NOT NULL REFERENCES generations (id),
  workspace_id  TEXT NOT NULL REFERENCES workspaces (id),
  actor_kind    TEXT NOT NULL CHECK (actor_kind IN ('key', 'member')),
  actor_id      TEXT NOT NULL,
  score         INTEGER NOT NULL CHECK (score BETWEEN 0 AND 100),
  label         TEXT NOT NULL,
  comment       TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_of_generation ON feedback (generation_id, actor_kind, actor_id, seq);
CREATE INDEX feedback_of_workspace ON feedback (workspace_id, seq);
CREATE TRIGGER feedback_never_changes BEFORE UPDATE ON feedback
BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_stays BEFORE DELETE ON feedback
BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;

-- Requests that a second model answered too, aside. Append-only. agreement: percent of words shared. score, second_score:
-- what a judge gave the answer that was served, and the second one; NULL where nobody judged. cost_nano: to the operator.
CREATE TABLE shadow_runs (
  generation_id TEXT NOT NULL REFERENCES generations (id),
  model         TEXT NOT NULL,
  judge         TEXT NOT NULL,
  agreement     INTEGER NOT NULL CHECK (agreement BETWEEN 0 AND 100),
  score         INTEGER CHECK (score BETWEEN 0 AND 100),
  second_score  INTEGER CHECK (second_score BETWEEN 0 AND 100),
  cost_nano     INTEGER NOT NULL CHECK (cost_nano >= 0),
  at_ms         INTEGER NOT NULL,
  PRIMARY KEY (generation_id, model),
  CHECK ((score IS NULL) = (second_score IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX shadow_runs_by_time ON shadow_runs (at_ms, cost_nano);
CREATE TRIGGER shadow_runs_never_change BEFORE UPDATE ON shadow_runs
BEGIN SELECT RAISE(ABORT, 'shadow runs are append-only'); END;
CREATE TRIGGER shadow_runs_stay BEFORE DELETE ON shadow_runs
BEGIN SELECT RAISE(ABORT, 'shadow runs are append-only'); END;
