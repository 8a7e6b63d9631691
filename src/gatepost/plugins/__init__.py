"""Shipped plugins, one file each, made with nothing but the public API; `use = "file name"`."""
