-- Whom a request was for, and by which tier its model was chosen; '' where there was none.
ALTER TABLE generations ADD COLUMN assistant_id TEXT NOT NULL DEFAULT '';
ALTER TABLE generations ADD COLUMN tier TEXT NOT NULL DEFAULT '';

-- One index instead of one: it now holds all that usage is filtered by and summed from, so that no row is read for sums.
-- It is written where it was before, at the end of the workspace's range; an entry is about 120 bytes longer.
DROP INDEX generations_of_workspace;
CREATE INDEX generations_of_workspace ON generations (
  workspace_id, created_at_ms, key_id, model, provider, status, user_id, assistant_id, tier,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens, charge_nano, cost_nano, latency_ms
);
