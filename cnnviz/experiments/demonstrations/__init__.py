"""Demonstrations, a file each; every one holds `DEMONSTRATION`."""
