"""Use cases that more than one of agent, client and doctor calls."""
