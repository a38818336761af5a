"""The run folder: what its files are called, and the one way in which they are read and written.

Training, the verbs and the pages meet here and nowhere else. Writing is strict; reading takes a
folder as it finds it: files may be missing, cut short, of another version or touched by hand.
Importing this is cheap: neither torch nor the settings are loaded.
"""

from ganvas.rundir.finding import claim, find_runs
from ganvas.rundir.folder import FORMAT, Line, RunFolder
from ganvas.rundir.lines import Tail, number, read_lines, tail
from ganvas.rundir.status import RunState, Status, now

__all__ = [
    "FORMAT",
    "Line",
    "RunFolder",
    "RunState",
    "Status",
    "Tail",
    "claim",
    "find_runs",
    "now",
    "number",
    "read_lines",
    "tail",
]
