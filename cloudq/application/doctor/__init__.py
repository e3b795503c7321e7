"""The examinations of ``cloudqcli doctor``."""
