"""Both ends of every splitting matrix, and the ways of splitting along them."""
