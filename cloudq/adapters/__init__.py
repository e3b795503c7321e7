"""Ports made real: stores, schedulers, disks, clocks."""
