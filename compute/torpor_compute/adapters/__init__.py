"""The agent's hands: files, processes, SQL."""
