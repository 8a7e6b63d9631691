"""Who a client is: users and their passwords, how often they may be tried, and who is asked."""
