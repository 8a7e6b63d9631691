"""Small state that the workers of a server share: counters, values, sets of keys, token buckets.

`store` is the class for plugins, `opening` creates it from a URL. `operations` are the operations
as values, with the rules of their results. `memory`, `sqlite` and `redis` execute them, and
`guarded` limits the effect of a store that fails. The contract suite in tests/store runs on each.

The package has no dependency on plugins, sessions or the configuration.
"""
