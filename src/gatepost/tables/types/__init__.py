"""The types of tables, one module each; `gatepost.tables.registry` has their names."""
