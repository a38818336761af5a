"""The optimizer of both nets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

from ganvas.config import AdamSettings
from ganvas.schedules import START, Progress, Schedule, schedule


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), all parameters of a net in one fused pass.

    It computes what torch.optim.Adam does with `fused=True`. That class imports torch's compiler
    when the first one is made, which takes as long as torch itself; the function does not.
    """

    def __init__(self, parameters: Iterable[Tensor], settings: AdamSettings) -> None:
        self.parameters = list(parameters)
        self.settings = settings
        self.schedule: Schedule = schedule(settings.learning_rate)
        """The step size by how far the run is."""
        self._decay: Schedule = schedule(settings.beta_2)
        self._rate, self._beta_2 = self.schedule(START), self._decay(START)
        self._rate_on_device: Tensor | None = None  # which a captured step reads anew each time
        if any(parameter.is_cuda for parameter in self.parameters):
            device = self.parameters[0].device
            self._rate_on_device = torch.tensor(self._rate, device=device)
        self.moments: dict[int, dict[str, Tensor]] = {}
        """By a parameter's place: its number of steps, mean gradient and mean squared gradient.
        A parameter without a gradient so far has none."""

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def follow(self, progress: Progress) -> None:
        """Take the step size and the decay that their schedules have for a place in the run."""
        self._beta_2 = self._decay(progress)
        if (rate := self.schedule(progress)) == self._rate:
            return
        self._rate = rate
        if self._rate_on_device is not None:
            self._rate_on_device.fill_(rate)

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        parameters, gradients, moments = [], [], []
        for place, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            if place not in self.moments:
                self.moments[place] = _at_rest(parameter)
            parameters.append(parameter)
            gradients.append(parameter.grad)
            moments.append(self.moments[place])
        adam(
            parameters,
            gradients,
            [one["exp_avg"] for one in moments],
            [one["exp_avg_sq"] for one in moments],
            [],
            [one["step"] for one in moments],
            fused=True,
            amsgrad=False,
            lr=self._rate if self._rate_on_device is None else self._rate_on_device,
            beta1=self.settings.beta_1,
            beta2=self._beta_2,
            eps=self.settings.eps,
            weight_decay=0.0,
            maximize=False,
        )

    def load(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Go on from copies of these moments; ValueError if they are of other parameters."""
        loaded = {}
        for place, values in moments.items():
            parameter = self.parameters[place]
            for name in ("exp_avg", "exp_avg_sq"):
                if values[name].shape != parameter.shape:
                    raise ValueError(
                        f"moments of shape {list(values[name].shape)} for a parameter of shape "
                        f"{list(parameter.shape)}"
                    )
            loaded[place] = _at_rest(parameter)
            for name, value in loaded[place].items():
                value.copy_(values[name])
        self.moments = loaded


def _at_rest(parameter: Tensor) -> dict[str, Tensor]:
    """Moments before the first step, in their parameter's layout."""
    return {
        "step": torch.zeros((), device=parameter.device),
        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
    }


def in_layout_of(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory layout of `parameter`, which has its shape.

    Fused Adam on the processor (torch 2.13) pairs parameters, gradients and moments by their place
    in memory, whatever their strides: other layouts get a permuted update, without an error.
    """
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter).copy_(value)
