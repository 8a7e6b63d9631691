"""The trap policies under test: the engine's rules, and a plugin for what has only a seam."""
