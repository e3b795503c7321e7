"""The commands of ``cloudqcli``, one module each."""
