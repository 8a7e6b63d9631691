"""The checks behind `gatepost check` and `gatepost try`."""
