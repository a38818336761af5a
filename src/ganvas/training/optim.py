"""The optimizer of both nets."""

from __future__ import annotations

import math
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

    With `eps_form = "tensorflow"` it computes what Keras and TensorFlow do (the paper's section 2,
    its end): the moments stay as they are and the step size is corrected for both,

        alpha_t = alpha sqrt(1 - beta_2^t) / (1 - beta_1^t),   w -= alpha_t m / (sqrt(v) + eps).

    There t counts the steps of the optimizer, also for a parameter whose first gradient came late.
    """

    def __init__(self, parameters: Iterable[Tensor], settings: AdamSettings) -> None:
        self.parameters = list(parameters)
        self.settings = settings
        self.schedule: Schedule = schedule(settings.learning_rate)
        """The step size by how far the run is."""
        self.factor = 1.0
        """What the step size is multiplied by, besides; 1 but after a failure."""
        self._decay: Schedule = schedule(settings.beta_2)
        self._rate, self._beta_2 = self.schedule(START), self._decay(START)
        self.moments: dict[int, dict[str, Tensor]] = {}
        """By a parameter's place: its number of steps, mean gradient and mean squared gradient.
        A parameter without a gradient so far has none. In the form "tensorflow" the number is the
        optimizer's, at the parameter's newest gradient."""
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self._rate_on_device: Tensor | None = None  # which a captured step reads anew each time
        if device.type == "cuda":
            self._rate_on_device = torch.tensor(self._rate, device=device)
        # For the form "tensorflow". On CUDA a captured step counts, so all of it is on the device.
        place = device if device.type == "cuda" else torch.device("cpu")
        self._taken = torch.zeros((), device=place)
        betas = [settings.beta_1, self._beta_2]
        self._betas = torch.tensor(betas, dtype=torch.float64, device=place)
        self._endless = torch.full((), math.inf, device=device)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def follow(self, progress: Progress) -> None:
        """Take the step size and the decay that their schedules have for a place in the run."""
        if (beta_2 := self._decay(progress)) != self._beta_2:
            self._beta_2 = beta_2
            self._betas[1] = beta_2
        if (rate := self.schedule(progress) * self.factor) == self._rate:
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
        steps = [one["step"] for one in moments]
        rate = self._rate if self._rate_on_device is None else self._rate_on_device
        if self.settings.eps_form == "tensorflow" and moments:
            self._taken.add_(1)
            torch._foreach_copy_(steps, [self._taken] * len(steps))
            rate = self._corrected_rate()
            steps = [self._endless] * len(steps)  # after which moments need no correction
        adam(
            parameters,
            gradients,
            [one["exp_avg"] for one in moments],
            [one["exp_avg_sq"] for one in moments],
            [],
            steps,
            fused=True,
            amsgrad=False,
            lr=rate,
            beta1=self.settings.beta_1,
            beta2=self._beta_2,
            eps=self.settings.eps,
            weight_decay=0.0,
            maximize=False,
        )

    @torch.no_grad()
    def pace(self) -> float:
        """How far the newest step went, in learning rates: |mean| / root of the mean square, on
        average over all parameters, both corrected; infinite before the first step."""
        total, num = 0.0, 0
        for one in self.moments.values():
            taken = float(one["step"])
            if not taken:
                continue
            mean = one["exp_avg"].abs() / (1 - self.settings.beta_1**taken)
            root = (one["exp_avg_sq"] / (1 - self._beta_2**taken)).sqrt_().add_(self.settings.eps)
            total += float(mean.div_(root).sum())
            num += mean.numel()
        return total / num if num else math.inf

    def _corrected_rate(self) -> float | Tensor:
        """alpha_t, in float64, since 1 - beta_2 has four digits in float32."""
        if self._rate_on_device is None:
            taken = float(self._taken)
            left_1 = 1 - math.pow(self.settings.beta_1, taken)
            left_2 = 1 - math.pow(self._beta_2, taken)
            return self._rate * math.sqrt(left_2) / left_1
        left = 1 - self._betas**self._taken
        rate: Tensor = self._rate_on_device * left[1].sqrt() / left[0]
        return rate.to(torch.float32)

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
        self._taken.fill_(max((float(one["step"]) for one in loaded.values()), default=0.0))


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
