"""One message, tried in memory: `gatepost try`, and the view Try of the dashboard."""
