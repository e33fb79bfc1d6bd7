"""Rival: an ensemble in PyTorch, `torch.func` over stacked parameters.

Command:   python -m benchmarks.rivals.torch_ensemble --width 64
           python -m benchmarks.rivals.torch_ensemble --option compiled true
Hardware:  CPU. Needs torch: pip install 'evotune[rivals]'.
Time:      about half a minute on two cores; ``--tiny`` takes 5 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

The form of PyTorch's own tutorial on ensembles, with what makes it fast: ``vmap`` of
``grad`` of ``functional_call``, Adam in place on the stacked tensors with a learning
rate for each member, batches cut inside the step from tensors that are there already,
nothing read before the end. ``compiled`` puts the whole step through ``torch.compile``;
``processes`` gives each process its own members and its share of the cores.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import warnings
from typing import Any

import numpy as np

from benchmarks._harness import Data, cores, data_orders
from benchmarks._sides import RivalResult, side_main

B1, B2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as in optax


def network(features: int, width: int, classes: int) -> Any:
    """Two hidden layers of ``width`` units, with the initial values of Flax."""
    from torch import nn

    layers = [
        nn.Linear(features, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    ]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            # Truncated normal of variance 1 / inputs, as lecun_normal.
            scale = layer.in_features**-0.5 / 0.87962566103423978
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class Ensemble:
    """Members that train at once, each with its own learning rate."""

    def __init__(self, data: Data, width: int, *, compiled: bool) -> None:
        """The functions of a step and of an evaluation, for networks of one shape."""
        import torch
        from torch.func import functional_call, grad, vmap

        self.shape = (data.x_train.shape[1], width, int(data.y_train.max()) + 1)
        self.x, self.x_valid = map(torch.from_numpy, (data.x_train, data.x_valid))
        self.y, self.y_valid = (
            torch.from_numpy(labels).long() for labels in (data.y_train, data.y_valid)
        )
        skeleton = network(*self.shape).to("meta")

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            logits = functional_call(skeleton, parameters, (x,))
            return torch.nn.functional.cross_entropy(logits, y)

        gradients = vmap(grad(loss), in_dims=(0, None, None))

        def step(state: Any, rates: Any, rows: Any) -> None:
            parameters, firsts, seconds, count = state
            found = gradients(parameters, self.x[rows], self.y[rows])
            with torch.no_grad():
                count += 1
                scale, root = 1 - B1**count, torch.sqrt(1 - B2**count)
                for name, value in parameters.items():
                    new, first, second = found[name], firsts[name], seconds[name]
                    first.mul_(B1).add_(new, alpha=1 - B1)
                    second.mul_(B2).addcmul_(new, new, value=1 - B2)
                    rate = (rates / scale).view(-1, *[1] * (value.dim() - 1))
                    value.sub_(rate * first / (second.sqrt() / root + EPSILON))

        def evaluate(parameters: Any) -> Any:
            call = vmap(lambda given: functional_call(skeleton, given, (self.x_valid,)))
            return (call(parameters).argmax(-1) == self.y_valid).float().mean(-1)

        self.step: Any = torch.compile(step) if compiled else step
        self.evaluate: Any = torch.compile(evaluate) if compiled else evaluate

    def state(self, seed: int, trials: range) -> Any:
        """Stacked parameters, both moments of Adam and the number of steps."""
        import torch

        made = []
        for trial in trials:
            torch.manual_seed(1_000_003 * seed + trial)
            made.append(network(*self.shape))
        stacked, _ = torch.func.stack_module_state(made)
        parameters = {name: value.detach() for name, value in stacked.items()}
        first, second = (
            {name: torch.zeros_like(value) for name, value in parameters.items()}
            for _ in range(2)
        )
        return parameters, first, second, torch.zeros(())

    def train(
        self, rates: np.ndarray, orders: np.ndarray, seed: int, trials: range
    ) -> np.ndarray:
        """Validation accuracy of every member after every epoch: f32[L, epochs]."""
        import torch

        state = self.state(seed, trials)
        given, batches = torch.from_numpy(rates), torch.from_numpy(orders).long()
        scores = []
        for epoch in batches:
            for rows in epoch:
                self.step(state, given, rows)
            scores.append(self.evaluate(state[0]))
        found: np.ndarray = torch.stack(scores, dim=1).numpy()
        return found


def train_share(
    data: Data,
    rates: np.ndarray,
    orders: np.ndarray,
    setting: dict[str, Any],
    first: int,
    barrier: Any = None,
) -> RivalResult:
    """Trains these learning rates in this process, ``together`` at a time."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch's own code
    import torch

    torch.set_num_threads(setting["threads"])
    # Imports, those of torch.compile too, and the start of processes are nobody's
    # training time.
    ensemble = Ensemble(data, setting["width"], compiled=setting["compiled"])
    if barrier is not None:
        barrier.wait()
    start = time.perf_counter()
    together = min(setting["together"], len(rates))
    starts = range(0, len(rates), together)

    before = time.perf_counter()
    for size in {len(rates[begin : begin + together]) for begin in starts}:
        ensemble.train(rates[:size], orders[:1, :1], setting["seed"], range(size))
    compile_seconds = time.perf_counter() - before

    accuracies = [
        ensemble.train(
            rates[begin : begin + together],
            orders,
            setting["seed"],
            range(first + begin, first + min(begin + together, len(rates))),
        )
        for begin in starts
    ]
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=time.perf_counter() - start - compile_seconds,
        accuracies=np.concatenate(accuracies),
    )


def _child(pipe: Any, *arguments: Any) -> None:
    pipe.send(train_share(*arguments))


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    together: int = 64,
    compiled: bool = False,
    processes: int = 1,
) -> RivalResult:
    """Trains all learning rates in ensembles.

    Args:
        data: What all members train on.
        learning_rates: f32[L], one training each.
        width: Units of each hidden layer.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        together: Members of an ensemble.
        compiled: Whether the step goes through ``torch.compile``.
        processes: Among which the members are shared out.
    """
    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )
    rates = np.asarray(learning_rates, np.float32)
    setting = {
        "width": width,
        "seed": seed,
        "together": together,
        "compiled": compiled,
        "threads": max(cores() // processes, 1),
    }
    with tempfile.TemporaryDirectory() as folder:  # no kernels of an earlier run
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        if processes == 1:
            return train_share(data, rates, orders, setting, 0)
        return train_shared_out(data, rates, orders, setting, processes)


def train_shared_out(
    data: Data,
    rates: np.ndarray,
    orders: np.ndarray,
    setting: dict[str, Any],
    processes: int,
) -> RivalResult:
    """Trains equal shares of these learning rates in processes that start together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes, timeout=300.0)
    pipes, children, first = [], [], 0
    for share in np.array_split(rates, processes):
        receiver, sender = context.Pipe(duplex=False)
        arguments = (sender, data, share, orders, setting, first, barrier)
        child = context.Process(target=_child, args=arguments)
        child.start()
        sender.close()
        pipes.append(receiver)
        children.append(child)
        first += len(share)
    results = [pipe.recv() for pipe in pipes]
    for child in children:
        child.join()
    return RivalResult(
        compile_seconds=max(result.compile_seconds for result in results),
        train_seconds=max(result.train_seconds for result in results),
        accuracies=np.concatenate([result.accuracies for result in results]),
    )


if __name__ == "__main__":
    side_main(run, needs=("torch",))
