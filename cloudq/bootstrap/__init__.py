"""The composition root, which wires use cases from a configuration; every part can be replaced.

Clients import only `cloudq.bootstrap.client`: the parts that only an agent needs run on Linux only.
"""
