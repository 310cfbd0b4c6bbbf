"""Golden values for the speech front ends, the LSTM and the weight readers, computed by TensorFlow itself.

    python3 -m venv /tmp/tfenv
    /tmp/tfenv/bin/pip install tensorflow-cpu==2.21.0 tf_keras python_speech_features==0.6 scipy
    TF_USE_LEGACY_KERAS=1 /tmp/tfenv/bin/python scripts/dev/make_speech_goldens.py

Writes `tests/data/speech_goldens.npz`, whose graphs have the names, operators and freezing of the published files, small
sizes and random weights. Needs g++: the memory-mapped package is written by TensorFlow's own `MemmappedFileSystemWriter`
out of the wheel. `--full FOLDER` writes graphs of the published sizes there too (1.4 GB), for a check by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from python_speech_features import mfcc as python_speech_mfcc

v1 = tf.compat.v1
OUT = Path(__file__).parents[2] / "tests" / "data" / "speech_goldens.npz"
LITE_SCOPE = "cudnn_lstm/rnn/multi_rnn_cell"
KERNEL = f"{LITE_SCOPE}/cell_0"
ALPHABET_CLASSES = 29


def signals() -> dict[str, np.ndarray]:
    """int16 sounds at 16 kHz."""
    rng = np.random.default_rng(20)
    time = np.arange(9_000) / 16_000
    tones = sum(np.sin(2 * np.pi * 133.0 * k * time) / k for k in range(1, 25))
    sounds = {
        "chirp": 0.5 * np.sin(2 * np.pi * (60 * time + 6_000 * time**2)),
        "voiced": 0.25 * tones * (1 + np.sin(2 * np.pi * 4 * time)),
        "noise": rng.normal(0, 0.1, 6_400),
        "quiet": rng.normal(0, 2e-4, 3_200),
        "clipped": rng.normal(0, 1.5, 3_200),
        "silence": np.zeros(3_200),
        "short": rng.normal(0, 0.05, 1_600),
        "one_window": rng.normal(0, 0.05, 512),
    }
    return {name: np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16) for name, sound in sounds.items()}


def front_ends(goldens: dict[str, np.ndarray]) -> None:
    for name, pcm in signals().items():
        goldens[f"signal/{name}"] = pcm
        samples = (pcm.astype(np.float32) / 32768)[:, None]
        power = tf.raw_ops.AudioSpectrogram(input=samples, window_size=512, stride=320, magnitude_squared=True)
        goldens[f"mfcc_093/{name}"] = tf.raw_ops.Mfcc(
            spectrogram=power, sample_rate=16_000, upper_frequency_limit=8_000.0, dct_coefficient_count=26
        ).numpy()[0]
        goldens[f"mfcc_010/{name}"] = python_speech_mfcc(pcm, samplerate=16_000, numcep=26)[::2].astype(np.float32)


def lstm_cell(goldens: dict[str, np.ndarray]) -> None:
    """TensorFlow's fused operator, as `LSTMBlockFusedCell` runs it, on three clips at once."""
    rng = np.random.default_rng(21)
    steps, clips, into, cells = 14, 3, 16, 16
    x = rng.normal(0, 1, (steps, clips, into)).astype(np.float32)
    kernel = rng.normal(0, 0.4, (into + cells, 4 * cells)).astype(np.float32)
    bias = rng.normal(0, 0.4, 4 * cells).astype(np.float32)
    cell, hidden = (rng.normal(0, 0.5, (clips, cells)).astype(np.float32) for _ in range(2))
    nothing = np.zeros(cells, np.float32)
    out = tf.raw_ops.BlockLSTM(
        seq_len_max=np.int64(steps), x=x, cs_prev=cell, h_prev=hidden, w=kernel, wci=nothing, wcf=nothing, wco=nothing,
        b=bias, forget_bias=0.0, cell_clip=-1.0, use_peephole=False,
    )  # fmt: skip
    goldens |= {
        f"lstm/{k}": v for k, v in {"x": x, "kernel": kernel, "bias": bias, "cell": cell, "hidden": hidden}.items()
    }
    goldens |= {"lstm/output": out.h.numpy(), "lstm/last_cell": out.cs.numpy()[-1]}


# --- graphs as mozilla/DeepSpeech made them ------------------------------------------------------------------------


def contexts_of(mfcc: np.ndarray) -> np.ndarray:
    padded = np.concatenate([np.zeros((9, 26)), mfcc, np.zeros((9, 26))])
    return np.stack([padded[i : i + 19] for i in range(len(mfcc))]).astype(np.float32)


def clipped_dense(name: str, x, units: int, weights: str, bias: str, relu: bool = True):
    kernel = v1.get_variable(weights, [int(x.shape[-1]), units], initializer=v1.random_normal_initializer(stddev=0.12))
    vector = v1.get_variable(bias, [units], initializer=v1.random_normal_initializer(stddev=0.3))
    out = tf.nn.bias_add(tf.matmul(x, kernel), vector)
    return tf.minimum(tf.nn.relu(out), 20.0) if relu else out


def model_093(hidden: int, cells: int, lite: bool, steps: int = 16):
    """Inputs and outputs by name, as create_inference_graph makes them."""
    samples = v1.placeholder(tf.float32, [512], "input_samples")
    power = tf.raw_ops.AudioSpectrogram(
        input=tf.expand_dims(samples, -1), window_size=512, stride=320, magnitude_squared=True
    )
    mfccs = tf.raw_ops.Mfcc(
        spectrogram=power, sample_rate=16_000, upper_frequency_limit=8_000.0, dct_coefficient_count=26
    )
    outputs = {"mfccs": tf.identity(tf.reshape(mfccs, [-1, 26]), name="mfccs")}
    node = v1.placeholder(tf.float32, [1, steps, 19, 26], "input_node")
    lengths = v1.placeholder(tf.int32, [1], "input_lengths")
    state = [v1.placeholder(tf.float32, [1, cells], f"previous_state_{part}") for part in "ch"]
    x = tf.reshape(tf.transpose(node, [1, 0, 2, 3]), [-1, 494])
    for number, units in ((1, hidden), (2, hidden), (3, cells)):
        x = clipped_dense(f"layer_{number}", x, units, f"layer_{number}/weights", f"layer_{number}/bias")
    x = tf.reshape(x, [-1, 1, cells])
    x, (cell, hidden_state) = (lite_lstm if lite else block_lstm)(x, lengths, state, cells, steps)
    x = clipped_dense("layer_5", tf.reshape(x, [-1, cells]), hidden, "layer_5/weights", "layer_5/bias")
    x = clipped_dense("layer_6", x, ALPHABET_CLASSES, "layer_6/weights", "layer_6/bias", relu=False)
    raw = tf.reshape(x, [-1, 1, ALPHABET_CLASSES], name="raw_logits")
    outputs |= {
        "raw_logits": raw,
        "logits": tf.nn.softmax(tf.squeeze(raw, [1]) if lite else raw, name="logits"),
        "new_state_c": tf.identity(cell, name="new_state_c"),
        "new_state_h": tf.identity(hidden_state, name="new_state_h"),
    }
    inputs = {"input_node": node, "previous_state_c": state[0], "previous_state_h": state[1], "input_samples": samples}
    if not lite:
        inputs["input_lengths"] = lengths
    return inputs, outputs


def block_lstm(x, lengths, state, cells: int, steps: int):
    with v1.variable_scope(f"{KERNEL}/cudnn_compatible_lstm_cell"):
        kernel = v1.get_variable("kernel", [2 * cells, 4 * cells], initializer=v1.random_normal_initializer(stddev=0.2))
        bias = v1.get_variable("bias", [4 * cells], initializer=v1.random_normal_initializer(stddev=0.4))
    nothing = tf.zeros([cells])
    out = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(tf.reduce_max(lengths), tf.int64), x=x, cs_prev=state[0], h_prev=state[1], w=kernel,
        wci=nothing, wcf=nothing, wco=nothing, b=bias, forget_bias=0.0, cell_clip=-1.0, use_peephole=False,
    )  # fmt: skip
    return out.h, (out.cs[-1], out.h[-1])


def lite_lstm(x, lengths, state, cells: int, steps: int):
    """The unrolled LSTMCell of the TensorFlow Lite export."""
    with v1.variable_scope(LITE_SCOPE):
        cell = v1.nn.rnn_cell.LSTMCell(
            cells, forget_bias=0, name="cudnn_compatible_lstm_cell", dtype=tf.float32,
            initializer=v1.random_normal_initializer(stddev=0.2),
        )  # fmt: skip
        initial = v1.nn.rnn_cell.LSTMStateTuple(*state)
        out, last = v1.nn.static_rnn(
            cell, [x[i] for i in range(steps)], initial_state=initial, dtype=tf.float32, scope="cell_0"
        )
    return tf.concat(out, 0), last


def model_010(hidden: int, cells: int):
    """BiRNN of v0.1.0 DeepSpeech.py, with the forget bias of 1 that `BasicLSTMCell` has by default."""
    node = v1.placeholder(tf.float32, [None, None, 494], "input_node")
    lengths = v1.placeholder(tf.int32, [None], "input_lengths")
    shape = tf.shape(node)
    x = tf.reshape(tf.transpose(node, [1, 0, 2]), [-1, 494])
    for number, units in ((1, hidden), (2, hidden), (3, 2 * cells)):
        x = clipped_dense("", x, units, f"h{number}", f"b{number}")
    x = tf.reshape(x, [-1, shape[0], 2 * cells])
    one, other = (
        v1.nn.rnn_cell.BasicLSTMCell(cells, forget_bias=1.0, state_is_tuple=True, name="basic_lstm_cell")
        for _ in range(2)
    )
    out, _ = v1.nn.bidirectional_dynamic_rnn(one, other, x, sequence_length=lengths, dtype=tf.float32, time_major=True)
    x = clipped_dense("", tf.reshape(tf.concat(out, 2), [-1, 2 * cells]), hidden, "h5", "b5")
    x = clipped_dense("", x, ALPHABET_CLASSES, "h6", "b6", relu=False)
    logits = tf.reshape(x, [-1, shape[0], ALPHABET_CLASSES], name="logits")
    return {"input_node": node, "input_lengths": lengths}, {"logits": logits}


def frozen(session, outputs) -> bytes:
    names = [tensor.op.name for tensor in outputs.values()]
    graph = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), names)
    return v1.graph_util.extract_sub_graph(graph, names).SerializeToString()


PACKAGE_WRITER = r"""
#include <fstream>
#include <iostream>
#include <map>
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def_util.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/util/memmapped_file_system_writer.h"
// What convert_graphdef_memmapped_format does: constants of at least `least` bytes become regions of the package.
int main(int argc, char** argv) {
  tensorflow::GraphDef graph;
  std::ifstream in(argv[1], std::ios::binary);
  if (!graph.ParseFromIstream(&in)) return 1;
  const long least = std::stol(argv[3]);
  tensorflow::MemmappedFileSystemWriter writer;
  if (!writer.InitializeToFile(tensorflow::Env::Default(), argv[2]).ok()) return 2;
  int number = 0;
  for (auto& node : *graph.mutable_node()) {
    if (node.op() != "Const") continue;
    tensorflow::Tensor tensor;
    const auto& proto = node.attr().at("value").tensor();
    if (proto.dtype() == tensorflow::DT_STRING || !tensor.FromProto(proto)) continue;
    if ((long)tensor.TotalBytes() < least) continue;
    const std::string region = "memmapped_package://const_" + std::to_string(number++);
    if (!writer.SaveTensor(tensor, region).ok()) return 3;
    const auto type = proto.dtype();
    node.mutable_attr()->clear();
    node.set_op("ImmutableConst");
    (*node.mutable_attr())["dtype"].set_type(type);
    tensor.shape().AsProto((*node.mutable_attr())["shape"].mutable_shape());
    (*node.mutable_attr())["memory_region_name"].set_s(region);
  }
  if (!writer.SaveProtobuf(graph, "memmapped_package://.").ok()) return 4;
  return writer.FlushAndClose().ok() ? 0 : 5;
}
"""


def package(graph: bytes, least: int) -> bytes:
    """The graph as a `.pbmm`, written by TensorFlow's C++ out of the wheel."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "writer.cc").write_text(PACKAGE_WRITER, encoding="utf-8")
        (folder / "graph.pb").write_bytes(graph)
        library = tf.sysconfig.get_lib()
        flags = [*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags(), f"-Wl,-rpath,{library}"]
        flags += [f"-L{library}", "-l:libtensorflow_cc.so.2"]
        program = str(folder / "writer")
        subprocess.run(["g++", "-O0", "-w", str(folder / "writer.cc"), "-o", program, *flags], check=True)
        subprocess.run([program, str(folder / "graph.pb"), str(folder / "graph.pbmm"), str(least)], check=True)
        return (folder / "graph.pbmm").read_bytes()


def run_093(session, inputs, outputs, contexts: np.ndarray, cells: int) -> dict[str, np.ndarray]:
    """Windows of 16 steps, the state carried on, as the native client does it."""
    cell = hidden = np.zeros((1, cells), np.float32)
    raw, probabilities = [], []
    for start in range(0, len(contexts), 16):
        feed = {inputs["input_node"]: contexts[None, start : start + 16], inputs["previous_state_c"]: cell}
        feed |= {inputs["previous_state_h"]: hidden}
        if "input_lengths" in inputs:
            feed[inputs["input_lengths"]] = [16]
        wanted = [outputs[name] for name in ("raw_logits", "logits", "new_state_c", "new_state_h")]
        values = session.run(wanted, feed)
        cell, hidden = values[2], values[3]
        raw.append(values[0].reshape(16, -1))
        probabilities.append(values[1].reshape(16, -1))
    return {"raw_logits": np.concatenate(raw), "logits": np.concatenate(probabilities), "cell": cell, "hidden": hidden}


def graphs(goldens: dict[str, np.ndarray], hidden: int, cells: int) -> dict[str, bytes]:
    rng = np.random.default_rng(22)
    mfcc = (rng.normal(0, 1, (48, 26)) * np.geomspace(4, 0.5, 26)).astype(np.float32)
    contexts = contexts_of(mfcc)
    goldens["graph/mfcc"] = mfcc
    files: dict[str, bytes] = {}
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(23)
        inputs, outputs = model_093(hidden, cells, lite=False)
        session.run(v1.global_variables_initializer())
        goldens |= {f"093/{name}": value for name, value in run_093(session, inputs, outputs, contexts, cells).items()}
        files["093.pb"] = frozen(session, outputs)
    # The tool's default for the least constant is 10000 bytes; the small graph's are smaller.
    files["093.pbmm"] = package(files["093.pb"], 10_000 if hidden > 100 else 2_000)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(24)
        inputs, outputs = model_010(hidden, cells)
        session.run(v1.global_variables_initializer())
        for variable in v1.global_variables("bidirectional_rnn.*bias"):
            session.run(variable.assign(v1.random_normal(variable.shape, stddev=0.4)))
        feed = {inputs["input_node"]: contexts.reshape(1, -1, 494), inputs["input_lengths"]: [len(contexts)]}
        goldens["010/logits"] = session.run(outputs["logits"], feed)[:, 0]
        files["010.pb"] = frozen(session, outputs)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(25)
        inputs, outputs = model_093(hidden, cells, lite=True)
        session.run(v1.global_variables_initializer())
        # The cell's bias begins with zeros, which would hide a wrong order of the gates in it.
        for variable in v1.global_variables(f"{LITE_SCOPE}.*bias"):
            session.run(variable.assign(v1.random_normal(variable.shape, stddev=0.4)))
        goldens |= {f"lite/{name}": value for name, value in run_093(session, inputs, outputs, contexts, cells).items()}
        del outputs["raw_logits"]  # the export has no such output
        for kind, optimizations in (("int8", [tf.lite.Optimize.DEFAULT]), ("float", [])):
            converter = v1.lite.TFLiteConverter.from_session(session, list(inputs.values()), list(outputs.values()))
            converter.optimizations, converter.allow_custom_ops = optimizations, True
            files[f"093.{kind}.tflite"] = converter.convert()
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=Path, help="folder for graphs of the published sizes")
    full = parser.parse_args().full
    goldens: dict[str, np.ndarray] = {}
    front_ends(goldens)
    lstm_cell(goldens)
    v1.disable_control_flow_v2()
    v1.disable_resource_variables()
    for name, content in graphs(goldens, hidden=8, cells=12).items():
        goldens[f"file/{name}"] = np.frombuffer(content, np.uint8)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, **goldens)
    print(f"{OUT}: {OUT.stat().st_size} bytes", file=sys.stderr)
    if full is not None:
        full.mkdir(parents=True, exist_ok=True)
        values: dict[str, np.ndarray] = {}
        for name, content in graphs(values, hidden=2048, cells=2048).items():
            (full / name).write_bytes(content)
        np.savez_compressed(full / "goldens.npz", **values)


if __name__ == "__main__":
    main()
