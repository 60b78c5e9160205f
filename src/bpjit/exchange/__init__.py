"""Networks of other libraries and files: PyTorch, scikit-learn, ONNX, both ways."""
