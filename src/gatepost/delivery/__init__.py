"""Delivery of accepted messages: routes choose a target for each recipient.

`target` is the contract, `registry` makes targets and routes from the configuration.
"""
