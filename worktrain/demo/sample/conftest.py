"""Lets the tests import the module beside this file."""
