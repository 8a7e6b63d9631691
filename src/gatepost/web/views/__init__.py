"""The views of the dashboard, a module for each: a query becomes tables and a template."""
