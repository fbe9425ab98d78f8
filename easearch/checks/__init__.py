"""The door of the public verbs: what they are given is looked at before anything is spent."""
