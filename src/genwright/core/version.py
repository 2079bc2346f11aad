"""The version of the package, which runs write into their environment."""

__version__ = "0.6.0"
