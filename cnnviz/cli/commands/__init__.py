"""Commands, one file each or per group.

Every file defines `register(app)` and is discovered automatically.
"""
