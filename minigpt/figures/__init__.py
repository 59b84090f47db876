"""Living figures: each is one ES module (`name.js`) and one small Python class (`name.py`)."""

from minigpt.figures.attention_steps import AttentionSteps, attention_steps_example
from minigpt.figures.beam_tree import BeamTree, read_beams
from minigpt.figures.cache_player import CachePlayer, cache_bytes, multiplications, read_cache
from minigpt.figures.cross_attention import CrossAttention, read_cross_attention
from minigpt.figures.decoding_pipeline import DecodingPipeline, read_decoding
from minigpt.figures.evidence import Evidence, read_view, read_written
from minigpt.figures.figure import Figure, Matrix
from minigpt.figures.head_start import HeadStart
from minigpt.figures.loss_mask import LossMask, read_losses
from minigpt.figures.mask_explorer import MaskExplorer, read_guesses
from minigpt.figures.next_character import NextCharacter
from minigpt.figures.next_token import NextToken, grow_tree
from minigpt.figures.quiz import Quiz, load_quiz
from minigpt.figures.residual_stream import ResidualStream, read_stream
from minigpt.figures.scaling_explorer import ScalingExplorer, read_wall
from minigpt.figures.softmax import Softmax

__all__ = [
    "AttentionSteps",
    "BeamTree",
    "CachePlayer",
    "CrossAttention",
    "DecodingPipeline",
    "Evidence",
    "Figure",
    "HeadStart",
    "LossMask",
    "MaskExplorer",
    "Matrix",
    "NextCharacter",
    "NextToken",
    "Quiz",
    "ResidualStream",
    "ScalingExplorer",
    "Softmax",
    "attention_steps_example",
    "cache_bytes",
    "grow_tree",
    "load_quiz",
    "multiplications",
    "read_beams",
    "read_cache",
    "read_cross_attention",
    "read_decoding",
    "read_guesses",
    "read_losses",
    "read_stream",
    "read_view",
    "read_wall",
    "read_written",
]
