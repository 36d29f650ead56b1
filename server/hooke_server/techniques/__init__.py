"""What Hooke shows: techniques as generators of frames, in pure torch.

`all_techniques()` finds them by walking this folder, and by the entry point
`hooke.techniques` in other distributions. A technique is one file with one
decorated function; nothing else must know it but its message in the contract.
"""
