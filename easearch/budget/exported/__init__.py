"""What an exported ONNX file costs, counted on the file itself."""
