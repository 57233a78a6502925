"""The plan: all decisions about a kernel as one value, and as one file that people and programs read."""
