"""An ONNX model: its file, read with care; its graph, made one of torch; ONNX Runtime on it.

file, screening       the file parsed and checked, its weights left where they lie
weights, inputs       tensors on the file's memory; what the model takes
origins, nodes        where a node comes from, and what it says
graph, opaque         the graph of torch functions, for gradients
cut, session          ONNX Runtime on the part that is asked for
trial                 whether ONNX Runtime takes the file
"""
