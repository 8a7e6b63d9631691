"""What all tests share: property tests have no time limit, the machine may be busy."""

from hypothesis import settings

settings.register_profile("gatepost", deadline=None)
settings.load_profile("gatepost")
