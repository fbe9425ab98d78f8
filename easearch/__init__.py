"""easearch grows neural networks to fit a device: name the device and the limit in milliseconds."""
