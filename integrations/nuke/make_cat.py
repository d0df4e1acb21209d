"""Make the .cat file in NukeX: ``Nuke15.1 --nukex -t make_cat.py lite.pt cleanplate.cat``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cleanplate_nuke import make_cat

if len(sys.argv) != 3:
    sys.exit("usage: make_cat.py MODULE.pt RESULT.cat")
make_cat(*(str(Path(argument).resolve()) for argument in sys.argv[1:]))
