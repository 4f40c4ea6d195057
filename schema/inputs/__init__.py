"""What clients send: filters, selections of samples and shapes, in the terms of `db`; and how large it may be."""
