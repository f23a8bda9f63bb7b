"""The one place where the version of apnet_fast is written."""

__version__ = "0.1.0"
