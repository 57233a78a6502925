"""The same tests in two environments, and what the second one broke."""
