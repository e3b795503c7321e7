"""The implementations of the ports: stores, schedulers, disks, clocks."""
