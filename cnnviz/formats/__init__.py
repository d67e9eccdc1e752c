"""File formats that several packages read or write: safetensors headers, zip directories, CSV. No torch."""
