"""The use cases of the agent: its cycle and the steps of the cycle."""
