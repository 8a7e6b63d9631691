"""Log set-up and rendering."""
