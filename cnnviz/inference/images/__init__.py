"""Image input: reading, decoding in a bounded process, and preprocessing."""
