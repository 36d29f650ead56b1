"""The ways back of layer-wise relevance propagation: what each operation shares out, and how."""
