"""What several baselines cost, and how their work is told."""

import pytest
import torch
from answers import frames, unit

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.frames import Progress


@pytest.mark.parametrize("name", ["integrated_gradients", "shapley_sampling"])
def test_the_estimate_counts_what_baselines_hold(residual, name):
    """Each has the size of the inputs, and so has what is mixed with it."""
    model, inputs = residual[0], [torch.zeros(4, 3, 64, 64)]

    def beside(count):
        baselines = [("noise_baseline", {})] * count
        method = AskedMethod(name=name, globs=(), given={"baselines": baselines})
        plan = bind(model, Asked(targets=(unit(model, 1),), methods=(method,)))
        return attribution_cost(model, plan, inputs, None).estimate.memory_bytes

    assert beside(16) - beside(1) >= 15 * 2 * inputs[0].nbytes
    with pytest.raises(InvalidArgumentError, match="at most 16"):
        beside(17)


def test_deep_lift_tells_its_progress_for_each_sample(chain):
    model, _ = chain
    baselines = [("zero_baseline", {}), ("mean_baseline", {})]
    inputs, targets = torch.randn(3, 3, 8, 8), [unit(model, 1)]
    found = frames(model, inputs, "deep_lift", targets, baselines=baselines)
    told = [(each.step, each.total) for each in found if isinstance(each, Progress)]
    assert told == [(done, 6) for done in range(1, 7)]
