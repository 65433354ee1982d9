"""The interactive panels: explorations by hand, each a function that draws and says what it drew.

A function ``draw_…(figure, …)`` draws its setting into a figure, or moves what it drew there
before, and returns a few sentences with the numbers. What takes more than a line to compute has a
function of its own that knows nothing of pictures. A function ``…_panel()`` puts controls to it.
"""

from helpers.panels.chain import SAMPLERS as SAMPLERS
from helpers.panels.chain import SCHEDULES as SCHEDULES
from helpers.panels.chain import STARTS as STARTS
from helpers.panels.chain import TARGETS as TARGETS
from helpers.panels.descent import descent_panel as descent_panel
from helpers.panels.diagnostics import diagnostics_panel as diagnostics_panel
from helpers.panels.flow import BOXES as BOXES
from helpers.panels.flow import flow_frames as flow_frames
from helpers.panels.flow import flow_panel as flow_panel
from helpers.panels.histogram import histogram_panel as histogram_panel
from helpers.panels.inpainting import inpainting_panel as inpainting_panel
from helpers.panels.penalty import penalty_panel as penalty_panel
from helpers.panels.plane import plane_frames as plane_frames
from helpers.panels.plane import plane_panel as plane_panel
from helpers.panels.steps import step_panel as step_panel
