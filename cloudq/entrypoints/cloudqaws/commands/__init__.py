"""The commands of ``cloudqaws``, one module each."""
