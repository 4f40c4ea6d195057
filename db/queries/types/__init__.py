"""The readable types, one module each: how their fields are compiled to SQL. `schema/types/` declares and describes
them; the server starts only if both agree."""
