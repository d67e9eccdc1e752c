"""Ready-made experiments, a file each; every one holds `READY`."""
