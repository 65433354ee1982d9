"""The comparison with TorchEBM says what is missing, and its measures measure."""

import subprocess
import sys

import pytest
import torch

import peers
from cases import seeded
from course import ROOT
from helpers import training
from helpers.densities import draw


def test_without_torchebm_it_says_how_to_get_it(monkeypatch) -> None:
    """None in sys.modules makes an import fail, whatever is installed."""
    monkeypatch.setitem(sys.modules, "torchebm", None)
    for name in [name for name in sys.modules if name.startswith("torchebm.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match="pip install torchebm"):
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

    class Peer:
        """Whatever of TorchEBM; its samples are their starts."""

        def __init__(self, *_, **options): ...

        def sample(self, start, **options):
            return start

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
