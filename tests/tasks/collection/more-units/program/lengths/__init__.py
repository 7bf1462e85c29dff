"""Lengths in several units."""
