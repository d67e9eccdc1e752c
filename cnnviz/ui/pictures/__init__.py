"""Pictures in: the one chooser of all pages that look inside, and how a picture becomes a network's input."""
