"""Modules that torch does not have. Each file imports torch, so nothing that lists models may import them."""
