"""What models suggest of samples, and what people decide about it. What comes of a suggestion when people label is in
`db.labelling.verdicts`."""
