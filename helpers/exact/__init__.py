"""The referee: what can be computed exactly, beside every approximation."""

from helpers.exact.ais import ais as ais
from helpers.exact.laws import gaussian_kernel as gaussian_kernel
from helpers.exact.laws import gaussian_moments as gaussian_moments
from helpers.exact.laws import iterate_law as iterate_law
from helpers.exact.laws import langevin_kernel as langevin_kernel
from helpers.exact.laws import law as law
from helpers.exact.laws import leimkuhler_matthews_kernel as leimkuhler_matthews_kernel
from helpers.exact.laws import mala_kernel as mala_kernel
from helpers.exact.laws import uniform_law as uniform_law
from helpers.exact.line import GridError as GridError
from helpers.exact.line import cdf as cdf
from helpers.exact.line import grid as grid
from helpers.exact.line import integrate as integrate
from helpers.exact.line import kl as kl
from helpers.exact.line import log_density as log_density
from helpers.exact.line import log_partition as log_partition
from helpers.exact.line import mean_w1 as mean_w1
from helpers.exact.line import moments as moments
from helpers.exact.line import nll as nll
from helpers.exact.line import outer_slopes as outer_slopes
from helpers.exact.line import perfect_draws as perfect_draws
from helpers.exact.line import w1 as w1
from helpers.exact.line import w1_floor as w1_floor
from helpers.exact.line import w1_of_laws as w1_of_laws
from helpers.exact.line import w1_of_rows as w1_of_rows
from helpers.exact.units import Units as Units
