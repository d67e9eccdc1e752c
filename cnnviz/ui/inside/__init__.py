"""What the pages that look inside a network share: which weights, and what they answer."""
