"""The agent: what one cycle does, and what it is made of."""
