DROP TABLE sync_unchanged;
