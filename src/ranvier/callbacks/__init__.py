"""Callbacks: what happens between epochs and, where asked for, between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranvier._missing import missing
from ranvier.callbacks.backup_and_restore import BackupAndRestore
from ranvier.callbacks.callback import Callback
from ranvier.callbacks.callback_list import CallbackList
from ranvier.callbacks.csv_logger import CSVLogger
from ranvier.callbacks.early_stopping import EarlyStopping
from ranvier.callbacks.history import History
from ranvier.callbacks.lambda_callback import LambdaCallback
from ranvier.callbacks.learning_rate_scheduler import LearningRateScheduler
from ranvier.callbacks.model_checkpoint import ModelCheckpoint
from ranvier.callbacks.progress import ProgbarLogger
from ranvier.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from ranvier.callbacks.remote_monitor import RemoteMonitor
from ranvier.callbacks.swap_ema_weights import SwapEMAWeights
from ranvier.callbacks.tensorboard import TensorBoard
from ranvier.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.callbacks", lambda: __all__)
