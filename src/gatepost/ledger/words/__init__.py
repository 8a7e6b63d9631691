"""Records in words: the story of a message, lists, reports; functions from records to lines."""
