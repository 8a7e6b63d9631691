"""Index files of large lists."""
