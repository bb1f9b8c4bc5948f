"""Pictures, as PNG and SVG: readable in print and for the colour-blind, the same bytes for the same numbers.

Matplotlib takes a second to import, and only the drawing functions import it.
"""

from reglab.lab.plots.comparison import compare_picture
from reglab.lab.plots.path import path_picture
from reglab.lab.plots.sweep import sweep_pictures

__all__ = ["compare_picture", "path_picture", "sweep_pictures"]
