"""The data module: images as tensors on the device, transforms and augmentation, data quality."""
