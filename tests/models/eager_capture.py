"""The oracle: what a module computes, captured by hooks and a dispatch mode, not by tracing.

Every capture is cloned at once, so no later in-place operation can change it, and
nothing of the graph's code is used.
"""

import copy
from collections import Counter, defaultdict

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class _Operations(TorchDispatchMode):
    """Clones every tensor that any aten operation yields, by the module around it."""

    def __init__(self, capture):
        super().__init__()
        self.capture = capture

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.capture.add_operation(leaf)
        return out


class EagerCapture:
    """`modules[id]`: the tensors that a module returned, by the id that the contract gives them.

    `operations[path]`: all tensors computed by the module at `path`, outside of modules
    inside it, in order.
    """

    def __init__(self, module, inputs):
        self.modules = {}
        self.operations = defaultdict(list)
        self._around = [""]
        self._runs = Counter()
        shared = {id(t): t for t in (*module.parameters(), *module.buffers())}
        clone = copy.deepcopy(module, shared).eval()
        for path, part in clone.named_modules():
            if path:
                part.register_forward_pre_hook(self._enter(path))
                part.register_forward_hook(self._leave(path))
        # Attention's fused path would show none of its operations.
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.no_grad(), _Operations(self):
                self.output = clone(*(tensor.clone() for tensor in inputs))
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)

    def _enter(self, path):
        def enter(module, arguments):
            self._around.append(path)

        return enter

    def _leave(self, path):
        def leave(module, arguments, value):
            self._around.pop()
            run = self._runs[path]
            self._runs[path] += 1
            layer = f"{path}:{run}" if run else path
            tensors = [t for t in pytree.tree_leaves(value) if isinstance(t, torch.Tensor)]
            for k, tensor in enumerate(tensors):
                self.modules[f"{layer}@{k}" if k else layer] = tensor.clone()

        return leave

    def add_operation(self, tensor):
        self.operations[self._around[-1]].append(tensor.clone())


def relative_difference(got, expected):
    """Largest difference over the largest expected magnitude; NaN and infinity must agree."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return float("inf")
    if not expected.numel() or torch.equal(got, expected):
        return 0.0
    got, expected = got.double(), expected.double()
    same = (got == expected) | (got.isnan() & expected.isnan())
    scale = expected[expected.isfinite()].abs().max() if expected.isfinite().any() else 1.0
    error = torch.where(same, 0.0, (got - expected).abs()).max()
    return float(error / scale) if scale else float(error)


def is_exported(model):
    """Whether its graph is of operations, in place of modules' calls."""
    return not any(node.op == "call_module" for node in model.graph.module.graph.nodes)


def compare(model, module, inputs, chunk=100):
    """Largest relative difference over all layers of `model`, against `module` run eagerly.

    Also asserts that each module that ran is a layer, and that no other is. Of several tensors
    that a module returned, export leaves out those that nothing reads.
    """
    capture = EagerCapture(module, inputs)
    listed = {i for i, layer in model.layers.items() if layer.module_class}
    calls = {layer_id.partition("@")[0] for layer_id in listed}
    unread = {i for i in set(capture.modules) - listed if i.partition("@")[0] in calls}
    assert listed | unread == set(capture.modules), sorted(listed ^ set(capture.modules))[:10]
    assert not unread or is_exported(model), unread
    worst = 0.0
    seen = Counter()
    ids = list(model.layers)
    for start in range(0, len(ids), chunk):
        values = model.forward(ids[start : start + chunk], inputs)
        for layer_id, value in values.items():
            if model.layers[layer_id].module_class:
                error = relative_difference(value, capture.modules.pop(layer_id))
            elif model.layers[layer_id].kind == "input":
                error = 0.0
            else:
                path = model.graph.places[layer_id].module_path
                error = _operation_difference(value, capture.operations, seen, path)
            worst = max(worst, error)
            if error > 1e-5:
                print(f"{layer_id}: {error}")  # noqa: T201
    return worst


def _operation_difference(value, operations, seen, path):
    """Against the next operation of the module that yields this shape and these values.

    Failing that, against any: export records slices of everything, which eager
    torch passes over, so what they yield is some other operation's value.
    """
    best = float("inf")
    for index in range(seen[path], len(operations[path])):
        error = relative_difference(value, operations[path][index])
        best = min(best, error)
        if error <= 1e-5:
            # The same tensor may be two layers (a reshape to its own shape).
            seen[path] = index
            return best
    others = (tensor for tensors in operations.values() for tensor in tensors)
    return min([best, *(relative_difference(value, other) for other in others)])
