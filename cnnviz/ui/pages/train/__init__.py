"""Parts of the Train page: the setup before a run starts, and the live run."""
