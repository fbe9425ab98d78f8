"""New neurons, run in the places of channels that are there: what the loss would give for them."""
