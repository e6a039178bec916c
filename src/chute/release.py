"""The version of this release."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("chute")
except PackageNotFoundError:
    VERSION = "0+not.installed"  # a checkout that was put on the path; servers are told it, and take no spaces
