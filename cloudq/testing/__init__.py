"""Test doubles for programs that use cloudq."""
