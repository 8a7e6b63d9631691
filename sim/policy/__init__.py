"""The trap policies under test: the engine's own, and plugins for the rules that it lacks."""
