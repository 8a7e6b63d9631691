"""Files that survive a crash: synced writes, atomic replacement, unique names, group commit."""
