"""Networks described by data, not code: ONNX files, Keras configurations, modules of another process.

Nothing in such a description is executed in this process. Importing this package does not import torch.
"""
