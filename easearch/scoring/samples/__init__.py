"""Samples: batches cut and parted, what flows where in the network, sums and their intervals."""
