"""A database's volume: what is in it, how one is made. Wherever it is made, in the same way."""
