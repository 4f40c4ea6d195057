-- Servers of the version before write without it.
ALTER TABLE version_eval ADD COLUMN usage text DEFAULT 'EVAL' NOT NULL;
ALTER TABLE version_eval ADD CONSTRAINT version_eval_usage_check CHECK (usage IN ('EVAL', 'TEST'));
