"""Which operations of TensorFlow only compute, and which may do more than that."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable

from tensorflow.python.framework import op_def_registry

_STATELESS_BUT_FILES = re.compile(
    r"""
    ReadFile|MatchingFiles|FileSystem\w*|ImmutableConst|\w*Dataset\w*|\w*Reader\w*
    |LoadAndRemapMatrix|GenerateVocabRemapping|(?:Decode|Encode)Proto\w*|\w*PyFunc\w*
    |Debug\w*|Copy|CopyHost|Remote\w*|TPU\w*
    """,
    re.VERBOSE,
)
"""Operations for files, Python and other devices that TensorFlow calls stateless."""

_STATE_OF_THE_MODEL = re.compile(
    r"""
    Variable|VariableV2|VarHandleOp|VarIsInitializedOp|VariableShape|ReadVariableOp
    |TemporaryVariable|(?:Assign|AssignAdd|AssignSub)VariableOp|DestroyResourceOp
    |DisableCopyOnRead|GuaranteeConst|DeepCopy|Empty
    |Resource(?:Gather|GatherNd|Scatter\w*|StridedSliceAssign|CountUpTo)
    |Resource(?:Sparse)?Apply\w*
    |(?:Anonymous)?(?:Mutable|MutableDense)?HashTable(?:OfTensors)?(?:V2)?
    |InitializeTableV2|LookupTable\w+V2|BoostedTrees\w*
    |If|While|Case|StatefulPartitionedCall|TensorArray\w*|Stack\w*
    |Assert|CheckNumerics(?:V2)?|Print|PrintV2|CudnnRNN\w*
    |Random(?!ShuffleQueue)\w*|RngReadAndSkip|RngSkip|NonDeterministicInts
    |Stateful(?:Random|Standard|Truncated|Uniform)\w*|StatelessRandomGetAlg
    |Multinomial|TruncatedNormal|ParameterizedTruncatedNormal
    |SampleDistortedBoundingBox(?:V2)?
    |(?:All|LearnedUnigram|LogUniform|ThreadUnsafeUnigram|Uniform)CandidateSampler
    |Sentencepiece(?:Op|TokenizeOp)
    """,
    re.VERBOSE,
)
"""Operations with a state that is the model's own, and those that give random numbers.

What has a state and isn't among them is refused: most of it is for files, queues,
networks and devices, and what a later TensorFlow adds is unknown here.
"""


def only_computes(name: str, functions: Iterable[str]) -> bool:
    """Return whether an operation does nothing but compute.

    Args:
        name: of the operation.
        functions: names of the functions of the model, which may be called so, too.
    """
    definition = op_def_registry.get(name)
    if definition is None and name not in functions and know_text_operations():
        definition = op_def_registry.get(name)
    if definition is None:  # an operation of someone's own, in a library that is loaded
        return name in functions
    if definition.is_stateful:
        return _STATE_OF_THE_MODEL.fullmatch(name) is not None
    return _STATELESS_BUT_FILES.fullmatch(name) is None


def know_text_operations() -> bool:
    """Let TensorFlow know the operations of TensorFlow Text, which the server knows.

    Returns:
        Whether that is new: they weren't known, and their package is installed.
    """
    package = "tensorflow_text"
    if package in sys.modules or importlib.util.find_spec(package) is None:
        return False
    importlib.import_module(package)
    return True
