"""The parts of the soak: drivers, clients, kills, and the checker of all that was seen."""
