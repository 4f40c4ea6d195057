"""Labels, samples and annotations: everything a person does to them."""
