"""Fixtures of more than one file."""

from tests.contract.mysql_fixtures import source, three

__all__ = ["source", "three"]
