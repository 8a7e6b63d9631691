"""The actors: those that send legitimate mail, spammers, and attackers of the trap rules."""
