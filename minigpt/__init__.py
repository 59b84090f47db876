"""minigpt: a small, exact GPT in PyTorch that trains on two CPU cores or a GPU, and shows its attention."""

__version__ = "0.1.0"
