"""The plugin host: what a plugin is, how it is found and ordered, and how its hooks are run."""
