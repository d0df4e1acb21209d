"""Several exposures of one plate, mixed for each frame as its lamps are."""
