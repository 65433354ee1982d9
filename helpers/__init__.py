"""What the notebooks share: targets, samplers, the network, training, the referee, figures."""
