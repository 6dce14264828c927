"""The tests of skspike; they mirror the package: skspike/a/_b.py has tests/a/test_b.py."""
