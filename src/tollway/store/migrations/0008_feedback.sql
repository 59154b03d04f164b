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
