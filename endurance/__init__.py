"""Long and hostile runs against a real server: `make soak` and `make crash`; loopback only."""
