"""The proxy's connections to the other components."""
