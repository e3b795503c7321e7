"""What ``cloudqcli doctor`` examines."""
