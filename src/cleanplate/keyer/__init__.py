"""The keyer: plate, runtime and router in one call; keying without a plate; regions and cuts."""
