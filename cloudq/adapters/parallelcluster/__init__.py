"""Clusters of AWS ParallelCluster: CloudFormation for the network, ``pcluster`` for the nodes in it."""
