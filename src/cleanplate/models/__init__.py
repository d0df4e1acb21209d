"""Named models: their records, their files, and the verification of these files."""
