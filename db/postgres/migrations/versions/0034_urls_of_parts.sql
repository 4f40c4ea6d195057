-- Rows outlast the URLs of their parts. Of those that are there, and of servers that do not know the column, S3 lets a URL be
-- valid for so long.
ALTER TABLE import_upload ADD COLUMN urls_until timestamptz DEFAULT now() + interval '7 days' NOT NULL;
