"""Rows of a CSV with numeric and categorical columns, as a kind of content of genwright."""
