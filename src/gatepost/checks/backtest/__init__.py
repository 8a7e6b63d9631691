"""Apply the trap rules to the logs of a mail server, in memory: `gatepost traps backtest`."""
