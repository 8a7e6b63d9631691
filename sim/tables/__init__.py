"""The tables of the results. Each has a key, which is its place in the page."""
