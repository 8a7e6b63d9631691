"""Shipped plugins, one file each, on the public API only; `use` names the file without `.py`."""
