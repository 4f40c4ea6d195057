"""Labels, samples and annotations, as people change them."""
