"""Network access: listening sockets, TLS, DNS, and fair shares of the event loop."""
