"""The plate over the frames of a shot: registration, updates of light, static objects."""
