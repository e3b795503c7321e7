"""Object stores: Amazon S3 and look-alikes, a directory, memory."""
