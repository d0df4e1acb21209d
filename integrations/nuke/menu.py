"""Nodes > Keyer > cleanplate. Nuke runs this file if the folder is on its plug-in path."""

import nuke

nuke.menu("Nodes").addCommand("Keyer/cleanplate", "nuke.createNode('cleanplate')")
