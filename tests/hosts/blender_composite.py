"""Run inside Blender: lays a cut-out over a colour with an Alpha Over node, and renders a 16-bit PNG.

    blender -b --factory-startup -P blender_composite.py -- CUTOUT ALPHA_MODE SPACE CONVERT R,G,B RESULT

``CONVERT`` is 1 to switch on Convert Premultiplied; the colour is linear, between 0 and 1.
"""

import sys

import bpy

path, alpha_mode, colour_space, convert, colour, result = sys.argv[sys.argv.index("--") + 1 :]
scene = bpy.context.scene
scene.use_nodes = True
tree = scene.node_tree
tree.nodes.clear()

image = bpy.data.images.load(path)
image.alpha_mode = alpha_mode
image.colorspace_settings.name = colour_space
cutout = tree.nodes.new("CompositorNodeImage")
cutout.image = image
if image.source == "MOVIE":
    cutout.frame_duration = 1
backdrop = tree.nodes.new("CompositorNodeRGB")
backdrop.outputs[0].default_value = [*(float(value) for value in colour.split(",")), 1.0]
over = tree.nodes.new("CompositorNodeAlphaOver")
over.use_premultiply = convert == "1"
end = tree.nodes.new("CompositorNodeComposite")
tree.links.new(backdrop.outputs[0], over.inputs[1])
tree.links.new(cutout.outputs[0], over.inputs[2])
tree.links.new(over.outputs[0], end.inputs[0])

scene.view_settings.view_transform = "Standard"
render = scene.render
render.resolution_x, render.resolution_y = image.size
render.resolution_percentage = 100
render.image_settings.file_format = "PNG"
render.image_settings.color_mode = "RGB"
render.image_settings.color_depth = "16"
render.filepath = result
bpy.ops.render.render(write_still=True)
