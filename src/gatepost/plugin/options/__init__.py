"""The options of plugins: their kinds, the lists among them, and how they are read."""
