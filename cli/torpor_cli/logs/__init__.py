"""What components and Postgres have said, as people ask for it: of a node, by time."""
