"""Ingest: samples from a directory (sync), a manifest (imports) or a client (uploads).

Each of these sources yields entries (`entry`): an image and what is known of it. All entries then take the same steps:
`images` reads files, `merge` stages entries, merges them batch after batch, and locks and reads what there is for it;
`decide` compares, as the policy of the source says; `write` writes the rows.
"""
