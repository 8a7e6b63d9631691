"""Mail that `gatepost allow` allows until a time: entries, their file, the changes of it."""
