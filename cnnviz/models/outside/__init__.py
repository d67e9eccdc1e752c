"""Networks that data describe, not code: ONNX files, Keras configurations, modules shown from elsewhere.

Nothing that such a description holds is executed in this process. Importing this imports no torch.
"""
