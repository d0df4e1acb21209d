"""Named models: what they are, where their files lie, and whether those files are what they claim to be."""
