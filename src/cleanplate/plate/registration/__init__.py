"""Registration of the plate with a frame: features, dense refinement, homography and mesh."""
