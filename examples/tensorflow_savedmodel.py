"""Cut out a photo in plain TensorFlow; cleanplate is only needed to write the model.

    cleanplate export lite --to savedmodel -o lite
    python tensorflow_savedmodel.py lite photo.jpg plate.jpg cut.png

The plate must match the photo: same camera position, same exposure. Any size works.
"""

import sys

import tensorflow as tf

model_path, source_path, plate_path, output_path = sys.argv[1:]


def read(path):
    """Read a picture as float32 (1, height, width, 3) in [0, 1]."""
    pixels = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.cast(pixels, tf.float32)[None] / 255


key = tf.saved_model.load(model_path).signatures["serving_default"]
matte = key(src=read(source_path), bgr=read(plate_path))
# pha: alpha, 1 channel; fgr: the subject's own colour, 3 channels, not multiplied by alpha.
cutout = tf.concat([matte["fgr"], matte["pha"]], -1)[0]
tf.io.write_file(output_path, tf.io.encode_png(tf.cast(tf.round(cutout * 255), tf.uint8)))
