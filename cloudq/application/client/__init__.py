"""What the client does with jobs."""
