"""The version of this release."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("chute")
except PackageNotFoundError:
    VERSION = "(not installed)"
