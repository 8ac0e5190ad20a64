#!/usr/bin/env python3
"""Train the Fashion-MNIST demo network and export it as ONNX.

The network has the shape of MobileNetV2, scaled to 28x28 grey images: a 3x3
stem, inverted residual blocks (1x1 expand, 3x3 depthwise, 1x1 linear
projection, residual add where the shape allows), squeeze-and-excite in the
later blocks, ReLU6, global average pooling, dropout and one linear layer.

The exported graph keeps every BatchNormalization as a node of its own, in
inference form (stored statistics), so that it can be used to test
batch-norm folding and everything that follows from it.

Data: the four IDX files of Fashion-MNIST (MIT licence, Zalando SE), on Debian
from the package `dataset-fashion-mnist`.  Needs torch, onnx, onnxruntime and
numpy.

The test set is used to report accuracy only.  No checkpoint and no setting is
selected with it inside this script: the exported weights are always the moving
average of the weights at the end of the last epoch.
"""

import argparse
import copy
import gzip
import io
import math
import os
import platform
import shlex
import struct
import sys
import time
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn as nn
import torch.nn.functional as F

# Per-pixel preprocessing: (value / 255 - MEAN) / STD.
MEAN, STD = 0.2860, 0.3530

STEM_CHANNELS = 16
HEAD_CHANNELS = 256
CLASSES = 10
DROPOUT = 0.2

# One inverted residual block per row:
# expansion, output channels, stride, squeeze-and-excite
BLOCKS = [
    (1, 16, 1, False),
    (4, 24, 2, False),
    (4, 24, 1, False),
    (4, 24, 1, False),
    (4, 48, 2, False),
    (4, 48, 1, True),
    (4, 48, 1, True),
    (4, 48, 1, True),
    (4, 80, 1, True),
    (4, 80, 1, True),
]


# ---------------------------------------------------------------- data


def read_idx(path):
    """Read a gzip-compressed IDX file of unsigned bytes as a numpy array."""
    with gzip.open(path, "rb") as f:
        zero, kind, ndim = struct.unpack(">HBB", f.read(4))
        if zero != 0 or kind != 8:
            raise ValueError(f"{path}: not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{ndim}I", f.read(4 * ndim))
        data = np.frombuffer(f.read(), dtype=np.uint8)
    return data.reshape(shape)


def load_split(folder, prefix):
    """Preprocessed images [N,1,28,28] (float32) and labels [N] (int64)."""
    images = read_idx(os.path.join(folder, f"{prefix}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(folder, f"{prefix}-labels-idx1-ubyte.gz"))
    x = (images.astype(np.float32) / 255.0 - MEAN) / STD
    return torch.from_numpy(x[:, None]), torch.from_numpy(labels.astype(np.int64))


def augment(x, rng, pad=2, erase_p=0.25):
    """Random crop after padding, random horizontal flip, random erasing."""
    n, _, h, w = x.shape
    black = (0.0 - MEAN) / STD
    padded = F.pad(x, (pad, pad, pad, pad), value=black)[:, 0]
    dy = torch.randint(0, 2 * pad + 1, (n, 1, 1), generator=rng)
    dx = torch.randint(0, 2 * pad + 1, (n, 1, 1), generator=rng)
    flip = torch.rand((n, 1, 1), generator=rng) < 0.5
    rows = torch.arange(h).view(1, h, 1) + dy
    cols = torch.arange(w).view(1, 1, w).expand(n, 1, w)
    cols = torch.where(flip, w - 1 - cols, cols) + dx
    out = padded[torch.arange(n).view(n, 1, 1), rows, cols]

    # Erase one rectangle of 4..10 pixels a side in some of the images.
    erase = torch.rand((n, 1, 1), generator=rng) < erase_p
    eh = torch.randint(4, 11, (n, 1, 1), generator=rng)
    ew = torch.randint(4, 11, (n, 1, 1), generator=rng)
    top = torch.randint(0, h, (n, 1, 1), generator=rng) - eh // 2
    left = torch.randint(0, w, (n, 1, 1), generator=rng) - ew // 2
    y = torch.arange(h).view(1, h, 1)
    z = torch.arange(w).view(1, 1, w)
    box = erase & (y >= top) & (y < top + eh) & (z >= left) & (z < left + ew)
    return out.masked_fill(box, 0.0)[:, None]


# ---------------------------------------------------------------- network


def conv_bn(cin, cout, kernel, stride=1, groups=1, act=True):
    layers = [
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
    ]
    if act:
        layers.append(nn.ReLU6())
    return nn.Sequential(*layers)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=8):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, channels // reduction, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(channels // reduction, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x):
        s = self.relu(self.reduce(self.pool(x)))
        return x * self.gate(self.expand(s))


class InvertedResidual(nn.Module):
    def __init__(self, cin, cout, expansion, stride, se):
        super().__init__()
        hidden = cin * expansion
        layers = []
        if expansion != 1:
            layers.append(conv_bn(cin, hidden, 1))
        layers.append(conv_bn(hidden, hidden, 3, stride, groups=hidden))
        if se:
            layers.append(SqueezeExcite(hidden))
        layers.append(conv_bn(hidden, cout, 1, act=False))
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = self.body(x)
        return x + y if self.residual else y


class FashionMobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, STEM_CHANNELS, 3)
        blocks, cin = [], STEM_CHANNELS
        for expansion, cout, stride, se in BLOCKS:
            blocks.append(InvertedResidual(cin, cout, expansion, stride, se))
            cin = cout
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_bn(cin, HEAD_CHANNELS, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(HEAD_CHANNELS, CLASSES)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x):
        x = self.head(self.blocks(self.stem(x)))
        x = torch.flatten(self.pool(x), 1)
        return self.classifier(self.dropout(x))


def summary(model):
    """Rows (name, output shape, parameters, MACs) and their totals.

    MACs are those of Conv and Linear for one image; parameters are the
    trained ones (batch-norm scale and shift included, statistics not).
    """
    macs, shapes, hooks = {}, {}, []

    def hook(name):
        def count(m, _, out):
            shapes[name] = tuple(out.shape[1:])
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                positions = out[0].numel() // out.shape[1]
                macs[name] = m.weight.numel() * positions
        return count

    for name, m in model.named_modules():
        hooks.append(m.register_forward_hook(hook(name)))
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, 1, 28, 28))
    model.train(was_training)
    for h in hooks:
        h.remove()

    parts = ["stem"] + [f"blocks.{i}" for i in range(len(BLOCKS))] + ["head", "pool", "classifier"]
    rows = []
    for part in parts:
        m = model.get_submodule(part)
        rows.append((
            part,
            "x".join(map(str, shapes[part])),
            sum(p.numel() for p in m.parameters()),
            sum(v for k, v in macs.items() if k == part or k.startswith(part + ".")),
        ))
    return rows, sum(r[2] for r in rows), sum(r[3] for r in rows)


# ---------------------------------------------------------------- training


def learning_rate(step, total, peak, warmup):
    """Linear warm-up, then a cosine down to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class WeightAverage:
    """Exponential moving average of weights and batch-norm statistics."""

    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model):
        self.steps += 1
        d = min(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        averaged, current = [], []
        for a, c in zip(self.model.state_dict().values(), model.state_dict().values()):
            if a.is_floating_point():
                averaged.append(a)
                current.append(c)
            else:
                a.copy_(c)
        torch._foreach_lerp_(averaged, current, 1.0 - d)


@torch.no_grad()
def accuracy(model, x, y, batch=100):
    model.eval()
    hits = 0
    for i in range(0, len(x), batch):
        xb = x[i:i + batch].contiguous(memory_format=torch.channels_last)
        hits += (model(xb).argmax(1) == y[i:i + batch]).sum().item()
    return hits / len(x)


def train(args, log):
    train_x, train_y = load_split(args.data, "train")
    test_x, test_y = load_split(args.data, "t10k")
    rng = torch.Generator().manual_seed(args.seed)

    model = FashionMobileNet().to(memory_format=torch.channels_last)
    rows, params, macs = summary(model)
    for name, shape, p, m in rows:
        log(f"  {name:<11} {shape:<10} {p:>8,} params {m:>10,} MACs")
    log(f"  total {params:,} params, {macs:,} MACs")

    decay = [p for p in model.parameters() if p.ndim > 1]
    no_decay = [p for p in model.parameters() if p.ndim <= 1]
    opt = torch.optim.SGD(
        [{"params": decay, "weight_decay": args.weight_decay},
         {"params": no_decay, "weight_decay": 0.0}],
        lr=0.0, momentum=0.9, nesterov=True)
    average = WeightAverage(model, args.ema)

    steps = len(train_x) // args.batch
    if args.max_steps:
        steps = min(steps, args.max_steps)
    total = steps * args.epochs
    warmup = max(1, int(total * 0.1))
    started = time.time()
    for epoch in range(args.epochs):
        t0 = time.time()
        model.train()
        order = torch.randperm(len(train_x), generator=rng)
        loss_sum = hits = 0.0
        for s in range(steps):
            idx = order[s * args.batch:(s + 1) * args.batch]
            x = augment(train_x[idx], rng).contiguous(memory_format=torch.channels_last)
            y = train_y[idx]
            lr = learning_rate(epoch * steps + s, total, args.lr, warmup)
            for g in opt.param_groups:
                g["lr"] = lr
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
                out = model(x)
            loss = F.cross_entropy(out.float(), y, label_smoothing=args.smoothing)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            average.update(model)
            loss_sum += loss.item()
            hits += (out.argmax(1) == y).sum().item()
        t1 = time.time()
        test = accuracy(average.model, test_x, test_y)
        log(f"epoch {epoch + 1:>3}/{args.epochs}  lr {lr:.5f}  loss {loss_sum / steps:.4f}  "
            f"train acc (augmented) {100 * hits / (steps * args.batch):.2f} %  "
            f"test acc (averaged weights) {100 * test:.2f} %  "
            f"{t1 - t0:.1f} s + {time.time() - t1:.1f} s test")
    log(f"training took {time.time() - started:.0f} s")
    return average.model, test_x, test_y


# ---------------------------------------------------------------- export


def export(model, opset):
    """The eval-mode model as an onnx.ModelProto with BatchNormalization kept."""
    model = model.to(memory_format=torch.contiguous_format).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(1, 1, 28, 28),), buffer,
            input_names=["image"], output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=opset,
            # PRESERVE with a model in eval mode: the graph is the inference
            # graph, but batch norm is not folded into the convolutions.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            dynamo=False)
    proto = onnx.load_from_string(buffer.getvalue())
    # The batch axis is the only symbolic one.
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = CLASSES
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization":
            training = [a.i for a in node.attribute if a.name == "training_mode"]
            if len(node.output) != 1 or any(training):
                raise RuntimeError(f"{node.name}: batch norm in training form")
    onnx.checker.check_model(proto, full_check=True)
    return proto


def onnx_accuracy(model_bytes, x, y, batch=250):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    hits = 0
    for i in range(0, len(x), batch):
        out = session.run(["logits"], {"image": x[i:i + batch].numpy()})[0]
        hits += int((out.argmax(1) == y[i:i + batch].numpy()).sum())
    return hits, len(x)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    ap.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                    help="folder of the four IDX .gz files (default: %(default)s)")
    ap.add_argument("--out", default=os.path.join(here, "fashion_mobilenet.onnx"),
                    help="ONNX file to write")
    ap.add_argument("--log", default=os.path.join(here, "train_log.txt"),
                    help="log file to write")
    ap.add_argument("--epochs", type=int, default=15)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=0.1, help="peak learning rate")
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--smoothing", type=float, default=0.05, help="label smoothing")
    ap.add_argument("--ema", type=float, default=0.998,
                    help="decay of the weight average, per step")
    ap.add_argument("--bf16", action="store_true", help="bfloat16 autocast in training")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--opset", type=int, default=17)
    ap.add_argument("--max-steps", type=int, default=0,
                    help="cut every epoch to this many steps (for a quick try)")
    ap.add_argument("--summary", action="store_true",
                    help="print the architecture table and stop")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    if args.summary:
        rows, params, macs = summary(FashionMobileNet())
        for name, shape, p, m in rows:
            print(f"| {name} | {shape} | {p:,} | {m:,} |")
        print(f"| total | | {params:,} | {macs:,} |")
        return

    with open(args.log, "w", encoding="utf-8") as log_file:
        def log(line):
            print(line, flush=True)
            print(line, file=log_file, flush=True)

        log("command: python " + shlex.join(sys.argv))
        log(f"python {platform.python_version()}, torch {torch.__version__}, "
            f"onnx {onnx.__version__}, onnxruntime {ort.__version__}, "
            f"{args.threads} thread(s)")
        log("The test set only reports; the exported weights are the weight average "
            "after the last epoch.")
        model, test_x, test_y = train(args, log)

        proto = export(model, args.opset)
        hits, count = onnx_accuracy(proto.SerializeToString(), test_x, test_y)
        _, params, macs = summary(model)
        proto.doc_string = "MobileNetV2-shaped Fashion-MNIST classifier"
        onnx.helper.set_model_props(proto, {
            "data": "Fashion-MNIST, Zalando SE, MIT licence "
                    "(https://github.com/zalandoresearch/fashion-mnist)",
            "licence": "MIT",
            "accuracy": f"{hits / count:.4f} top-1 on the {count} test images (float32)",
            "preprocessing": f"(pixel / 255 - {MEAN:.4f}) / {STD:.4f}, NCHW",
            "parameters": str(params),
            "macs": str(macs),
            "script": "examples/fashion_mnist/train.py",
        })
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, args.out)

        with open(args.out, "rb") as f:
            written = f.read()
        hits, count = onnx_accuracy(written, test_x, test_y)
        ops = {}
        for node in proto.graph.node:
            ops[node.op_type] = ops.get(node.op_type, 0) + 1
        log("nodes: " + ", ".join(f"{k} {v}" for k, v in sorted(ops.items())))
        log(f"{os.path.basename(args.out)}: {len(written):,} bytes, opset {args.opset}, "
            f"{params:,} params, {macs:,} MACs")
        log(f"test accuracy of the exported file in onnxruntime: "
            f"{hits}/{count} = {100 * hits / count:.2f} %")


if __name__ == "__main__":
    main()
