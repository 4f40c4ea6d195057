DELETE FROM version_eval e WHERE NOT EXISTS (SELECT FROM version v WHERE v.id = e.version_id);
ALTER TABLE version_eval
    ADD CONSTRAINT version_eval_version_id_fkey FOREIGN KEY (version_id) REFERENCES version (id) ON DELETE CASCADE;
