"""The probes, one file each: seconds of arithmetic on a run's checkpoint. Each is found by itself."""
