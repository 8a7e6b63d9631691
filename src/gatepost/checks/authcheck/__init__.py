"""The authentication of one message or of many: `gatepost authcheck`."""
