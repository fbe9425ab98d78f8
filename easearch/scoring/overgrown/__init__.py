"""The network with every candidate in it, and the gates of all of them."""
