"""The public types, one file each. Reads are compiled to SQL, so fields here declare and describe; none of them runs."""
