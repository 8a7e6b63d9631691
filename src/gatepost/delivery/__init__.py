"""Where an accepted message goes: routes choose a target for each recipient, targets take it.

`target` is the contract, `registry` makes targets and routes from what the configuration says.
"""
