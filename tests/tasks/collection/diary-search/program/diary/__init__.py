"""A diary, one entry a day."""
