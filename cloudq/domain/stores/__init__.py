"""What is known of an object store."""
