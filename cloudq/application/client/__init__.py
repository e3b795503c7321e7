"""The client's use cases for jobs."""
