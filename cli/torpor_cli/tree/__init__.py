"""What there is as a tree of nodes, and what a verb means on each kind of them."""
