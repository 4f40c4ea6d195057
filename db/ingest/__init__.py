"""The one way in: samples from a directory (sync), a manifest (imports) or a client (uploads).

Each of these sources gives entries (`entry`), which say of an image what is known of it. From there on all go one way:
`images` reads files, `batches` stages entries and merges them batch after batch, `merge` locks and reads what there is,
`decide` compares, `write` writes the rows. What differs between the sources is a `policy`.
"""
