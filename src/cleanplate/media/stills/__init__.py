"""Still pictures and numbered sequences: JPEG, PNG, TIFF, WebP, EXR and DPX."""
