"""genwright trains generative models in one loop, described by one recipe. `train` and `load` are the whole of the Python door."""

__version__ = "0.1.0"
