"""What pages share that look into a network with weights: the network, images, predictions, attribution."""
