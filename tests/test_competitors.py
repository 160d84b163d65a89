"""The PyTorch competitors are what they say: torch.nn, torch.optim, and UORO without bias."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[learning]'")

from tools.learning import bptt, competitors, uoro
from tools.learning.ensemble import SPANS, Adam, Model, Streams, initial
from tools.learning.tasks import TASKS


@pytest.mark.parametrize("name", ["brackets(1,5,10)", "Lorenz"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_ensemble_of_one_is_torch_nn_with_torch_optim(
    cell: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, span, hidden, steps = TASKS[name], 8, 5, 400
    monkeypatch.setattr(type(task), "block", 100)
    ours = bptt.train(task, cell, span, hidden, steps, [Model(3, 0.01, float("inf"))])[0]

    torch.manual_seed(3)
    data = Streams.of(task, steps, [3])
    network = (torch.nn.LSTM if cell == "lstm" else torch.nn.GRU)(data.n_in, hidden)
    readout = torch.nn.Linear(hidden, data.n_in)
    optimiser = torch.optim.Adam([*network.parameters(), *readout.parameters()], lr=0.01)
    state, theirs = None, []
    x, y = data.x[:, 0], data.y[:, 0]
    symbols = not x.is_floating_point()
    encoded = torch.nn.functional.one_hot(x, data.n_in).float() if symbols else x[:, None]
    for start in range(0, steps, span):
        states, state = network(encoded[start : start + span, None], state)
        state = tuple(part.detach() for part in state) if cell == "lstm" else state.detach()
        raw = readout(states[:, 0])
        label = y[start : start + span]
        if symbols:
            loss = torch.nn.functional.cross_entropy(raw, label, reduction="none")
        else:
            loss = (raw[:, 0] - label) ** 2 / 2
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        theirs += loss.tolist()
    blocks = ours.size
    edges = [int(np.ceil(100 * (i + 1) / span) * span) for i in range(blocks)]
    parts = np.split(np.array(theirs), edges)[:blocks]
    expected = [part.mean() * float(data.factor[0]) for part in parts]
    np.testing.assert_allclose(ours, expected, rtol=2e-4)


@pytest.mark.parametrize("learner", ["lstm", "gru", "uoro"])
def test_models_do_not_depend_on_their_neighbours(
    learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TASKS["anbn(1,32)"]
    monkeypatch.setattr(type(task), "block", 100)
    models = [Model(1, 0.01, 100.0), Model(2, 0.003, float("inf")), Model(3, 1e3, float("inf"))]

    def run(chosen: list[Model]) -> np.ndarray:
        if learner == "uoro":
            return uoro.train(task, "gru", 3, 400, chosen)
        return bptt.train(task, learner, 16, 3, 400, chosen)

    if learner == "uoro":
        # The signs are drawn for all together, so the first two are compared with other thirds.
        other = run([*models[:2], Model(3, 0.0, 1.0)])[:2]
    else:
        other = np.concatenate([run([model]) for model in models[:2]])
    np.testing.assert_allclose(run(models)[:2], other, rtol=1e-3)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_tangent_is_the_derivative_along_a_direction(cell: str) -> None:
    torch.manual_seed(0)
    parts = 2 if cell == "lstm" else 1
    w = [weight.detach().double() for weight in initial(cell, 1, 4, [0, 1])]
    x = torch.randn(1, 2).double()
    state, v = ([torch.randn(2, 4).double() for _ in range(parts)] for _ in "sv")
    moved = uoro.tangent(cell, w, x, state, v)
    plus, minus = (
        uoro.step(cell, w, x, [s + sign * 1e-6 * d for s, d in zip(state, v, strict=True)])
        for sign in (1, -1)
    )
    for part, a, b in zip(moved, plus, minus, strict=True):
        torch.testing.assert_close(part, (a - b) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_mean_of_uoro_is_the_derivative(cell: str) -> None:
    """Many sign streams on one network and stream: E[s~ theta~] = ds/dtheta."""
    copies, hidden, steps = 5_000, 2, 4
    w = initial(cell, 1, hidden, [5] * copies)
    x = torch.randn(steps, 1, generator=torch.Generator().manual_seed(1)).expand(steps, copies)
    state = [torch.zeros(copies, hidden) for _ in ("hc" if cell == "lstm" else "h")]
    s_tilde = [torch.zeros_like(part) for part in state]
    w_tilde = [torch.zeros_like(part) for part in w[:4]]
    signs = torch.Generator().manual_seed(2)
    for t in range(steps):
        state, s_tilde, w_tilde = uoro.advance(
            cell, w, x[t : t + 1], state, s_tilde, w_tilde, signs
        )
    one = [weight[:1].detach().requires_grad_() for weight in w]
    zero = torch.zeros(1, hidden)
    last = SPANS[cell](one, x[:, :1], zero, zero)[1]
    exact = torch.autograd.grad(last[0, 0], one[:4])
    for derivative, estimate in zip(exact, w_tilde, strict=True):
        sample = s_tilde[0][:, 0].view(-1, *[1] * (estimate.dim() - 1)) * estimate
        noise = sample.std(0) / copies**0.5
        assert ((sample.mean(0) - derivative[0]).abs() <= 5 * noise + 1e-6).all()


def test_adam_slows_down_as_asked() -> None:
    models = [Model(0, 0.1, float("inf")), Model(0, 0.1, 1.0)]
    w = [torch.zeros(2, 1)]
    Adam(w, models).step(w, [torch.ones(2, 1)], 3)
    torch.testing.assert_close(w[0], torch.tensor([[-0.1], [-0.05]]))


def test_the_best_pair_of_the_grid_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors, "RATES", (0.0, 1e-2))
    task = TASKS["anbn(1,32)"]
    curves = competitors.truncated("gru", 16, "GRU", task, 4, 20_000, (0, 1))
    assert [curve.seed for curve in curves] == [0, 1]
    assert curves[0].settings["rate"] == 1e-2
    assert curves[0].samples == 20_000
