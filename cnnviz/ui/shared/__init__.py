"""What several pages share: the frame, the URL, the chosen model, weights and image, a run's data."""
