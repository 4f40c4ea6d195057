"""The public types, one file each. Reads are compiled to SQL: fields here declare and describe, none of them runs."""
