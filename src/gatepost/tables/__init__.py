"""Tables: look-ups of keys in files, databases and other servers."""
