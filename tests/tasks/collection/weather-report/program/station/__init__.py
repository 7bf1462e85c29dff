"""Measurements of a weather station."""
