"""What python had loaded when livegrad began; what livegrad adds must not hide the modules of the user's
program.
"""

import sys

LOADED_AT_START = frozenset(sys.modules)
