"""What `gatepost check` and `gatepost try` report."""
