"""Before anything is spent: whether a run can be done, how far it can grow, and what it takes."""
