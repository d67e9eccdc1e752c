"""Networks of the user's own, from a Python file or a package that whoever starts the program names.

Naming one runs its code, so nothing that comes through a page or a link gets here (DESIGN.md, rule 7): pages
use the name that it then has in the registry, `file/Net`. Importing this imports no torch.
"""
