"""Rules on the network and its training: initialization, gradients, learning rate, size, regularization."""
