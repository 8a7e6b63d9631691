"""The plugin host: the base class of plugins, the loader, the order, and the running of hooks."""
