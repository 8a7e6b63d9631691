"""The registry: traps with a state and a history, which commands and plugins add and change."""
