"""Who sleeps, who wakes, how many wait warm."""
