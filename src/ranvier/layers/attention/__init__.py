"""Attention: weighted means of values, with weights from queries and keys."""

from ranvier.layers.attention.grouped_query import GroupedQueryAttention
from ranvier.layers.attention.multi_head import MultiHeadAttention
from ranvier.layers.attention.single import AdditiveAttention, Attention

#: Keras's public name of it.
GroupQueryAttention = GroupedQueryAttention

__all__ = [
    "AdditiveAttention",
    "Attention",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "MultiHeadAttention",
]
