"""The comparison with peers says what is missing, and its measures measure."""

import math
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch

import peers
import plane_peers
from cases import seeded
from course import ROOT
from helpers import training
from helpers.chains import DivergenceError
from helpers.densities import draw
from helpers.exact import plane
from helpers.shapes import SHAPES


@pytest.mark.parametrize("missing", [["torchebm"], ["zuko"], ["torchebm", "zuko"]])
def test_without_a_library_it_says_how_to_get_it(missing, monkeypatch) -> None:
    """None in sys.modules makes a module missing, any other one there, whatever is installed."""
    for name in peers.LIBRARIES:
        there = ModuleType(name)
        there.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, None if name in missing else there)
    wanted = " ".join(peers.LIBRARIES[name] for name in missing)
    with pytest.raises(SystemExit, match=f"pip install {wanted}$"):
        peers.main()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux only")
def test_the_peak_memory_sees_a_tensor_and_forgets_it() -> None:
    """64 MiB that are gone again still count, until the peak is reset. In a process of its own."""
    code = """if True:
        import torch, peers
        torch.ones(8, 2**20).sum(), peers.reset_peak_memory()
        before = peers.peak_memory()
        torch.ones(16, 2**20).sum()
        after = peers.peak_memory()
        peers.reset_peak_memory()
        print(after - before, peers.peak_memory() - before)"""
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    seen, forgotten = map(float, said.stdout.split())
    assert 60 < seen < 80 and abs(forgotten) < 10


def test_the_matrix_product_rate_is_one_that_a_machine_can_have() -> None:
    """At least a hundred million operations a second on one thread, at most a trillion."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert 1e8 < peers.matrix_product_rate(128) < 1e12
    torch.set_num_threads(threads)


@pytest.mark.parametrize("base", [True, False])
@pytest.mark.parametrize("name", peers.TARGETS)
def test_both_recipes_train_with_the_same_arguments(name, base, monkeypatch) -> None:
    """Network, data, updates, learning rate, decay: what is compared is the chains alone."""
    seen = []

    def noted(energy, data, loss, *, generator, watch=None, show_progress, cosine=True, **options):
        seen.append((sum(p.numel() for p in energy.parameters()), data, cosine, options))

    monkeypatch.setattr(peers, "torchebm", lambda: (Peer, Peer, Peer))
    monkeypatch.setattr(peers, "train", noted)
    monkeypatch.setattr(training, "train", noted)
    samples = draw(peers.TARGETS[name][0], peers.N, generator=seeded())
    peers.fit_theirs(samples, 0, base, 0.01)
    training.fit_energy(samples, base=base, updates=peers.UPDATES, show_progress=False)
    (theirs, ours), names = seen, ("parameters", "data", "cosine", "options")
    assert torch.equal(theirs[1], ours[1])
    for i in (0, 2, 3):
        assert theirs[i] == ours[i], names[i]


class Peer:
    """Whatever of TorchEBM; its samples are their starts."""

    def __init__(self, *_, **options): ...

    def sample(self, start, **options):
        return start


def test_in_the_plane_the_kl_is_that_of_the_closed_form() -> None:
    """Of the Gaussian and N(0, 2 I), and that of a log-density with itself."""
    shape, S = SHAPES["Gaussian"], torch.tensor([[2.0, 1.2], [1.2, 1.0]]).double()

    def law(log_q):
        return lambda samples, seed: (7.0, lambda on: log_q(on.points).reshape(len(on.axis), -1))

    wide = law(lambda x: -x.square().sum(1) / 4 - math.log(4 * math.pi))
    kl = (S.trace() / 2 - 2 + math.log(4) - S.logdet()) / 2
    assert plane_peers.row(shape, 0, wide) == pytest.approx({"kl": 1000 * kl.item(), "s": 7.0})
    assert plane_peers.row(shape, 0, law(shape.log_prob))["kl"] == pytest.approx(0, abs=1e-6)

    def diverges(samples, seed):
        raise DivergenceError("too large a step", 3)

    assert plane_peers.row(shape, 0, diverges)["kl"] == math.inf


def test_in_the_plane_the_energy_is_normalised(monkeypatch) -> None:
    """With the learning rate and the decay that are said; without the library."""
    seen = {}
    monkeypatch.setattr(peers, "torchebm", lambda: (Peer, Peer, Peer))
    monkeypatch.setattr(peers, "train", lambda *_, **options: seen.update(options))
    samples, on = SHAPES["moons"].draw(500, generator=seeded()), plane.grid(6, 101)
    _, log_q = plane_peers.contrastive(samples, 0, 0.01)
    assert log_q(on).exp().sum().item() * on.cell == pytest.approx(1)
    assert (seen["lr"], seen["decay"]) == (plane_peers.THEIR_LR, 4.0)
