"""Object stores: Amazon S3 and compatible services, and a directory."""
