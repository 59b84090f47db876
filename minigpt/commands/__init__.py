"""The commands of `python -m minigpt`, by what they do: make a model, use one, get data."""
