"""A cluster as a place of databases: its API server is asked, and reaches the rest for us."""
