"""Clusters of AWS ParallelCluster: CloudFormation creates the network, ``pcluster`` the nodes in it."""
