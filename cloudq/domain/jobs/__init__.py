"""Jobs: their records, states, claims and leases."""
