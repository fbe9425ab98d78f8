"""Growing: surgery that keeps the function, optimizer state carried over, training, the loop."""
