"""The SQLite tables of a spool file."""
