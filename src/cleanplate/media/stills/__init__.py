"""Still pictures and numbered sequences: JPEG, PNG, TIFF, WebP, AVIF, EXR and DPX."""
