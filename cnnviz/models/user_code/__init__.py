"""User-defined networks, from a Python file or a package named on the command line.

Naming one runs its code, so nothing that comes through a page or a link reaches this package (DESIGN.md, rule
7): pages use the name in the registry, `file/Net`. Importing this package does not import torch.
"""
