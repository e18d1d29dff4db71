"""The one place that states the software's version."""

__version__ = "0.1.0"
