"""The inside of a network: activations, filters, arithmetic, branches, attribution.

Functions take a model in evaluation mode and images `(N, C, H, W)`; they look at a twin that shares its
weights, so that the model itself is never hooked or changed and may be in use elsewhere. Importing this
imports no torch.
"""
