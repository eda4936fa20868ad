"""Fixtures of the black-box and SDK tests; see blackbox/harness."""

pytest_plugins = ["harness.fixtures"]
