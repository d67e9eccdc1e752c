"""From files to answers: pictures and weights in, probabilities out. Importing this imports no torch."""
