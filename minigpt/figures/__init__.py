"""Living figures: each is one ES module (`name.js`) and one small Python class (`name.py`)."""

from minigpt.figures.attention_steps import AttentionSteps, attention_steps_example
from minigpt.figures.beam_tree import BeamTree, read_beams
from minigpt.figures.bpe_player import BPEPlayer, count_pairs
from minigpt.figures.cache_player import CachePlayer, cache_bytes, multiplications, read_cache
from minigpt.figures.cross_attention import CrossAttention, read_cross_attention
from minigpt.figures.decoding_pipeline import DecodingPipeline, read_decoding
from minigpt.figures.evidence import Evidence, read_view, read_written
from minigpt.figures.figure import Figure, Matrix
from minigpt.figures.head_gallery import HeadGallery, read_heads
from minigpt.figures.head_start import HeadStart
from minigpt.figures.loss_mask import LossMask, read_losses
from minigpt.figures.loss_text import LossText
from minigpt.figures.mask_explorer import MaskExplorer, read_guesses
from minigpt.figures.mask_painter import MaskPainter
from minigpt.figures.next_character import NextCharacter
from minigpt.figures.next_token import NextToken, grow_tree
from minigpt.figures.quiz import Quiz, load_quiz
from minigpt.figures.residual_stream import ResidualStream, read_stream
from minigpt.figures.scaling_explorer import ScalingExplorer, read_wall
from minigpt.figures.score_scale import ScoreScale, read_scores
from minigpt.figures.softmax import Softmax
from minigpt.figures.training_curve import TrainingCurve

__all__ = [
    "AttentionSteps",
    "BPEPlayer",
    "BeamTree",
    "CachePlayer",
    "CrossAttention",
    "DecodingPipeline",
    "Evidence",
    "Figure",
    "HeadGallery",
    "HeadStart",
    "LossMask",
    "LossText",
    "MaskExplorer",
    "MaskPainter",
    "Matrix",
    "NextCharacter",
    "NextToken",
    "Quiz",
    "ResidualStream",
    "ScalingExplorer",
    "ScoreScale",
    "Softmax",
    "TrainingCurve",
    "attention_steps_example",
    "cache_bytes",
    "count_pairs",
    "grow_tree",
    "load_quiz",
    "multiplications",
    "read_beams",
    "read_cache",
    "read_cross_attention",
    "read_decoding",
    "read_guesses",
    "read_heads",
    "read_losses",
    "read_scores",
    "read_stream",
    "read_view",
    "read_wall",
    "read_written",
]
