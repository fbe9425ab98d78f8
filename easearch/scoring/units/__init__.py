"""A channel group's own part of the network, as a function of what its channels own."""
