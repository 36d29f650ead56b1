"""Where work runs: loaded models, the compute thread, joined requests, memory.

The engine runs any function and any generator; it does not know what they compute.
"""
