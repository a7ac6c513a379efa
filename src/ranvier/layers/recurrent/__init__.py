"""Recurrent layers: cells, the loop over time around them, both directions at once."""

from ranvier.layers.recurrent.bidirectional import Bidirectional
from ranvier.layers.recurrent.convolutional import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from ranvier.layers.recurrent.gru import GRU, GRUCell
from ranvier.layers.recurrent.lstm import LSTM, LSTMCell
from ranvier.layers.recurrent.rnn import RNN
from ranvier.layers.recurrent.simple import SimpleRNN, SimpleRNNCell
from ranvier.layers.recurrent.stacked import StackedRNNCells

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
]
