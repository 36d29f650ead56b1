"""Two models side by side: activations, weights, units.

Each is a generator of frames over a `Duo`, a reference and a candidate with the inputs
of both. Differences are taken from the reference.
"""
