"""The checks of the exercises: an answer is right, and why that matters, or what it looks like.

A check takes the learner's function, calls it on arguments of its own, compares what comes back
with a closed form or with the exact law, and prints one verdict.

Where an answer draws random numbers, every statistic may be ``verdicts.Z`` standard errors off.
``seed`` sets all randomness of such a check; another seed asks the same question with other
numbers.
"""

from helpers.exercises.acceptance import log_acceptance as log_acceptance
from helpers.exercises.chains import length_for as length_for
from helpers.exercises.chains import r_hat_of_reports as r_hat_of_reports
from helpers.exercises.flow import new_density as new_density
from helpers.exercises.flow import steps_enough as steps_enough
from helpers.exercises.flow import w1_sorted as w1_sorted
from helpers.exercises.gradient import nll_gradient as nll_gradient
from helpers.exercises.gradient import score as score
from helpers.exercises.gradient import two_slopes as two_slopes
from helpers.exercises.held_out import held_out_gap as held_out_gap
from helpers.exercises.histogram import average_log_likelihood as average_log_likelihood
from helpers.exercises.histogram import draws_needed as draws_needed
from helpers.exercises.histogram import kl_by_quadrature as kl_by_quadrature
from helpers.exercises.images import annealed_log_z as annealed_log_z
from helpers.exercises.images import bits_per_pixel as bits_per_pixel
from helpers.exercises.images import fill_in as fill_in
from helpers.exercises.images import log_z_of_two as log_z_of_two
from helpers.exercises.jumps import jump_to_data as jump_to_data
from helpers.exercises.langevin import schedule_for_three as schedule_for_three
from helpers.exercises.langevin import settled_mass as settled_mass
from helpers.exercises.langevin import stationary_variance as stationary_variance
from helpers.exercises.law import law_after_step as law_after_step
from helpers.exercises.moves import best_step as best_step
from helpers.exercises.moves import left_weight as left_weight
from helpers.exercises.partition import has_density as has_density
from helpers.exercises.partition import log_integral as log_integral
from helpers.exercises.persistent import persistent as persistent
from helpers.exercises.plane import after_one_step as after_one_step
from helpers.exercises.plane import density_by_quadrature as density_by_quadrature
from helpers.exercises.plane import largest_step as largest_step
from helpers.exercises.plane import mode_weights as mode_weights
from helpers.exercises.recipes import denoising_loss as denoising_loss
from helpers.exercises.recipes import noise_for as noise_for
from helpers.exercises.recipes import resting_theta as resting_theta
from helpers.exercises.scores import denoised as denoised
from helpers.exercises.scores import denoising_target as denoising_target
from helpers.exercises.scores import kl_from_slopes as kl_from_slopes
from helpers.exercises.scores import step_variance as step_variance
from helpers.exercises.step import langevin_step as langevin_step
from helpers.exercises.training import penalised_optimum as penalised_optimum
from helpers.exercises.training import train_step as train_step
