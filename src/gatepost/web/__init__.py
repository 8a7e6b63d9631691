"""The dashboard: pages for administrators, in a process of its own."""
