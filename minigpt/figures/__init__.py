"""Living figures: each is one ES module (`name.js`) and one small Python class (`name.py`)."""

from minigpt.figures.attention_steps import AttentionSteps, attention_steps_example
from minigpt.figures.beam_tree import BeamTree, read_beams
from minigpt.figures.cross_attention import CrossAttention, read_cross_attention
from minigpt.figures.decoding_pipeline import DecodingPipeline, read_decoding
from minigpt.figures.figure import Figure, Matrix
from minigpt.figures.loss_mask import LossMask, read_losses
from minigpt.figures.next_character import NextCharacter
from minigpt.figures.next_token import NextToken, grow_tree
from minigpt.figures.quiz import Quiz, load_quiz
from minigpt.figures.residual_stream import ResidualStream, read_stream
from minigpt.figures.softmax import Softmax

__all__ = [
    "AttentionSteps",
    "BeamTree",
    "CrossAttention",
    "DecodingPipeline",
    "Figure",
    "LossMask",
    "Matrix",
    "NextCharacter",
    "NextToken",
    "Quiz",
    "ResidualStream",
    "Softmax",
    "attention_steps_example",
    "grow_tree",
    "load_quiz",
    "read_beams",
    "read_cross_attention",
    "read_decoding",
    "read_losses",
    "read_stream",
]
