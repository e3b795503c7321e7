"""The store on any S3-compatible service."""
