"""What arms that train by themselves have in common: compute that runs out, trunks, pruning."""
